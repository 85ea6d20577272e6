"""However a run is ended from outside, it is over in time, and no process, file or piece of memory outlives it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest

from kernel import Runner, node, pipeline
from watching import LIMIT, descendants, is_alive, shared_memory, wait_until

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX"),
]

FLOW = """
    import os, time
    from pathlib import Path

    import numpy as np
    from kernel import node, pipeline

    HERE = Path(__file__).parent

    def make(megabytes):
        return np.ones(megabytes << 17)

    def go_on(number, stubborn):
        until = time.monotonic() + 60
        while True:
            try:  # a signal may come as soon as the first file is there
                if not (HERE / f"pid-{number}").exists():
                    (HERE / f"draft-{number}").write_text(str(os.getpid()))
                    (HERE / f"draft-{number}").rename(HERE / f"pid-{number}")
                while time.monotonic() < until:
                    with (HERE / f"beat-{number}").open("ab", buffering=0) as file:
                        file.write(b"x")
                    time.sleep(0.01)
                return
            except KeyboardInterrupt:
                if not stubborn:
                    raise

    def obedient(array, number):
        go_on(number, False)

    def stubborn(array, number):
        go_on(number, True)

    def nodes_of(function):
        return pipeline(
            [
                node(make, "megabytes", "array", name="make"),
                *(node(function, ["array", f"number_{n}"], None, name=f"go_on_{n}") for n in range(2)),
            ]
        )

    pipelines = {"obedient": nodes_of(obedient), "stubborn": nodes_of(stubborn)}
    datasets = {"megabytes": 32, "number_0": 0, "number_1": 1}
"""


class Started:
    """A command that runs two nodes beside each other, with an array of 32 MB alive; in a session of its own."""

    def __init__(self, folder, *words):
        self.folder = folder
        (folder / "flow.py").write_text(dedent(FLOW))
        (folder / "tmp").mkdir()
        self.memory = shared_memory()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "kernel", "run", "flow.py", "-x", "process_pool", "--workers", "2", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder / "tmp")},
            start_new_session=True,
        )
        wait_until(lambda: self.is_over() or all(map(Path.exists, self.pid_files())), "both nodes")
        if self.is_over():
            pytest.fail("\n".join(self.process.communicate()))
        self.workers = [int(path.read_text()) for path in self.pid_files()]
        self.family = sorted({self.process.pid, *self.workers, *descendants(self.process.pid)})

    def pid_files(self):
        return [self.folder / f"pid-{number}" for number in range(2)]

    def is_over(self):
        return self.process.poll() is not None

    def end(self):
        """Wait for the end of the command; return its exit code and what it said on stderr."""
        _, err = self.process.communicate(timeout=LIMIT)
        return self.process.returncode, err

    def beats(self):
        return [path.stat().st_size for path in self.folder.glob("beat-*")]

    def assert_nothing_is_left(self):
        wait_until(lambda: not any(map(is_alive, self.family)), "the end of all processes of the run")
        beats = self.beats()
        time.sleep(0.05)
        assert self.beats() == beats, "a node went on"
        wait_until(lambda: not shared_memory() - self.memory, "shared memory to be free of what the run had")
        assert list((self.folder / "tmp").iterdir()) == []

    def kill_all(self):
        for pid in self.family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with suppress(ValueError):  # its streams were read and closed already
            self.process.communicate(timeout=LIMIT)


@pytest.fixture
def start(tmp_path):
    started = []

    def begin(*words, folder="run"):
        (tmp_path / folder).mkdir()
        started.append(Started(tmp_path / folder, *words))
        return started[-1]

    yield begin
    for run in started:
        run.kill_all()


CODES = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}


def send(run, name, to):
    number = getattr(signal, name)
    if to == "the driver":
        run.process.send_signal(number)
    else:
        os.killpg(run.process.pid, number)


@pytest.mark.parametrize(
    ("nodes", "name", "to"),
    [
        ("obedient", "SIGTERM", "the group"),
        ("obedient", "SIGHUP", "the group"),
        *(("stubborn", name, to) for name in CODES for to in ("the driver", "the group")),
    ],
)
def test_a_signal_ends_the_run_after_its_grace_time_with_its_code_and_nothing_is_left(start, nodes, name, to):
    run = start("-p", nodes, "--grace", "0.3")
    send(run, name, to)
    code, err = run.end()
    assert code == CODES[name], err
    assert err.count(f" INTERRUPTED by {name}\n") == 1
    assert "Traceback" not in err
    run.assert_nothing_is_left()


@pytest.mark.parametrize(
    ("name", "to"),
    [("SIGINT", "the driver"), ("SIGINT", "the group"), ("SIGTERM", "the driver"), ("SIGHUP", "the driver")],
)
def test_a_second_signal_ends_a_run_of_stubborn_nodes_at_once(start, name, to):
    run = start("-p", "stubborn", "--grace", "600")
    wait_until(lambda: len(run.beats()) == len(run.pid_files()), "both nodes to be at work")
    send(run, name, to)
    beats = run.beats()
    wait_until(lambda: all(now > then + 2 for now, then in zip(run.beats(), beats, strict=True)), "nodes to go on")
    send(run, name, to)
    code, err = run.end()
    assert code == CODES[name], err
    assert f" INTERRUPTED by {name}\n" in err
    run.assert_nothing_is_left()


def test_when_the_driver_is_killed_its_workers_end_and_nothing_is_left(start):
    run = start("-p", "stubborn")
    run.process.send_signal(signal.SIGKILL)
    assert run.process.wait(LIMIT) == -signal.SIGKILL
    run.assert_nothing_is_left()


def test_when_every_process_is_killed_at_once_nothing_is_left(start):
    run = start("-p", "stubborn")
    run.kill_all()
    run.assert_nothing_is_left()


def test_the_files_of_a_killed_run_are_swept_by_the_next_one_and_those_of_a_live_run_are_not(tmp_path, start):
    memory = tmp_path / "memory"
    memory.mkdir()
    words = ["-p", "stubborn", "--grace", "0", "--catalog-option", f"directory={memory}"]
    live = start(*words, folder="live")
    (of_live,) = memory.iterdir()
    dead = start(*words, folder="dead")
    dead.kill_all()
    (of_dead,) = set(memory.iterdir()) - {of_live}
    values = {"x": bytearray(1 << 20)}
    runner = Runner("process_pool", catalog_options={"directory": memory})
    runner.run(pipeline([node(len, "x", "y")]), values).close()
    assert set(memory.iterdir()) == {of_live}
    assert of_dead != of_live
    live.process.send_signal(signal.SIGINT)
    assert live.end()[0] == 130
    assert list(memory.iterdir()) == []
