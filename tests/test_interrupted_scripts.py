"""A script whose run is ended by a signal: it ends by that signal itself, whatever its nodes do."""

from __future__ import annotations

import signal
import subprocess
import sys
from textwrap import dedent

import pytest

from watching import LIMIT, wait_until

pytestmark = [pytest.mark.timeout(90), pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")]

SCRIPT = """
    import atexit, sys, time
    from kernel import node, pipeline, run

    def obedient(x):
        print("started", flush=True)
        time.sleep(60)

    def stubborn(x):
        until = time.monotonic() + 60
        told = False
        while time.monotonic() < until:
            try:
                if not told:
                    told = True
                    print("started", flush=True)
                time.sleep(0.02)
            except BaseException:
                pass

    if __name__ == "__main__":
        atexit.register(print, "exit handler")
        function = obedient if sys.argv[2] == "obedient" else stubborn
        flow = pipeline([node(function, "x", "y", name="slow")])
        run(flow, {"x": 1}, executor=sys.argv[1], workers=1, grace_s=float(sys.argv[3]))
"""


@pytest.fixture
def start(tmp_path):
    (tmp_path / "script.py").write_text(dedent(SCRIPT))
    begun = []

    def begin(*words):
        command = [sys.executable, "script.py", *words]
        pipe = subprocess.PIPE
        begun.append(subprocess.Popen(command, cwd=tmp_path, stdout=pipe, stderr=pipe, text=True))
        assert begun[-1].stdout.readline() == "started\n"
        return begun[-1]

    yield begin
    for process in begun:
        process.kill()
        process.communicate(timeout=LIMIT)


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("executor", ["sequential", "threads", "process_pool", "futures"])
def test_a_script_that_lets_the_interrupt_through_ends_by_the_signal_after_its_exit_handlers(start, executor, name):
    process = start(executor, "obedient", "0.2")
    process.send_signal(getattr(signal, name))
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == -getattr(signal, name), err
    assert out == "exit handler\n"
    assert err.splitlines()[-1] == f"kernel.errors.Interrupted: interrupted by signal {int(getattr(signal, name))}"


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_after_its_grace_time_a_node_that_swallows_the_interrupt_ends_with_the_process(start, name):
    process = start("sequential", "stubborn", "0.2")
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 128 + getattr(signal, name)
    assert err.splitlines() == ["kernel: a node goes on after an interrupt and cannot be stopped; the process ends"]


@pytest.mark.parametrize("executor", ["sequential", "threads", "process_pool"])
def test_a_second_signal_ends_a_run_whose_node_swallows_the_first(start, executor):
    process = start(executor, "stubborn", "600")

    def is_over():  # two that come at once are one
        process.send_signal(signal.SIGTERM)
        return process.poll() is not None

    wait_until(is_over, "the end of the run")
    process.communicate(timeout=LIMIT)
    assert process.returncode in {-signal.SIGTERM, 128 + signal.SIGTERM}
