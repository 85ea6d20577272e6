"""What is told of a death or an error is its true cause, whatever brought it about."""

from __future__ import annotations

import os
import subprocess
import sys
from textwrap import dedent

import pytest

import awkward_errors as awkward
from kernel import Runner, node, pipeline, run
from kernel.errors import KernelError, NodeError, WorkerLost

pytestmark = [pytest.mark.timeout(90), pytest.mark.skipif(sys.platform == "win32", reason="processes of POSIX")]

EXECUTORS = ["sequential", "threads", "process_pool", "futures"]


@pytest.fixture(scope="module", params=EXECUTORS)
def warm(request):
    with Runner(request.param, workers=2) as runner:
        yield runner


@pytest.mark.parametrize("name", awkward.AWKWARD)
def test_an_error_that_cannot_be_looked_at_fails_its_node_by_name_and_the_worker_lives(warm, name):
    given = {"name": name, "odd": awkward.ExitsWhenMeasured(), "x": 1}
    with pytest.raises(NodeError) as caught:
        warm.run(pipeline([node(awkward.fail, ["name", "odd"], "y", name="to_blame")]), given)
    assert not isinstance(caught.value, WorkerLost)
    assert caught.value.node == "to_blame"
    assert name in caught.value.error_type
    with pytest.raises(NodeError, match="'to_blame' failed: ValueError: outer") as caught:
        warm.run(pipeline([node(awkward.fail_after, ["name", "odd"], "y", name="to_blame")]), given)
    assert warm.run(pipeline([node(awkward.same, "x", "y")]), given)["y"] == 1


def closes_its_stream(value):
    os.closerange(3, 200)
    return value


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_of_a_stream_that_a_node_has_closed_this_is_told_and_no_lack_of_memory(start_method, capfd):
    flow = pipeline([node(closes_its_stream, "x", "y", name="closes")])
    with pytest.raises(WorkerLost, match=r"'closes' lost its worker 2 times: .* the loss of its connection") as caught:
        run(flow, {"x": 1}, executor="process_pool", workers=1, executor_options={"start_method": start_method})
    assert "memory" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("os._exit(7)", "exit code 7"),
        ("os.closerange(3, 200)", "the loss of its connection"),
        ("sys.exit(5)", "SystemExit: 5"),
    ],
)
def test_a_module_that_ends_its_worker_when_it_is_loaded_ends_the_run_with_that_cause(
    tmp_path, monkeypatch, start_method, line, told
):
    name = f"ends_early_{abs(hash((start_method, line)))}"
    (tmp_path / f"{name}.py").write_text(
        dedent(
            f"""
            import os, sys
            if os.getpid() != {os.getpid()}:
                {line}

            def same(value):
                return value
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__(name)
    options = {"start_method": start_method}
    with pytest.raises(KernelError, match=told) as caught:
        run(pipeline([node(module.same, "x", "y")]), {"x": 1}, executor="process_pool", executor_options=options)
    assert not isinstance(caught.value, NodeError)
    assert "memory" not in str(caught.value)


#: Loaded by each interpreter of the run: the process that makes workers can fork so often, then the system refuses.
FEW_FORKS = """
    import os, sys

    if any("kernel_process_pool.server" in word for word in sys.orig_argv):
        real, left = os.fork, [int(os.environ["FORKS"])]

        def fork():
            if not left[0]:
                raise BlockingIOError(11, "Resource temporarily unavailable")
            left[0] -= 1
            return real()

        os.fork = fork
"""
SCRIPT = """
    import os, resource, signal, sys, threading, time
    from pathlib import Path
    from kernel import node, pipeline, run
    from kernel.errors import KernelError

    def ran(value):
        with open("ran", "a") as file:
            file.write("x")
        return value

    def dies_once(value):
        if not Path("died").exists():
            Path("died").touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return value

    how, number = sys.argv[1], int(sys.argv[2])
    options = {"start_method": sys.argv[3]} if len(sys.argv) > 3 else {}
    first = dies_once if options or how == "dies" else ran
    flow = pipeline([node(first, "x", "y"), *(node(ran, "y", f"o{at}", name=f"n{at}") for at in range(8))])
    if how == "descriptors":
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, number))
    if how == "ignored":
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    if how == "blocked":
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
    try:
        print(sum(run(flow, {"x": 1}, executor="process_pool", workers=4, executor_options=options).values()))
    except KernelError as error:
        print(type(error).__name__, error)
"""


def said_by(folder, how, number, *words):
    (folder / "sitecustomize.py").write_text(dedent(FEW_FORKS))
    (folder / "script.py").write_text(dedent(SCRIPT))
    done = subprocess.run(
        [sys.executable, "script.py", how, str(number), *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder), "FORKS": str(number)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


@pytest.mark.parametrize(("how", "number"), [("forks", 1), ("forks", 2), ("dies", 2)])
def test_where_no_more_processes_can_be_made_the_run_goes_on_with_those_that_there_are(tmp_path, how, number):
    out, err = said_by(tmp_path, how, number)
    assert out == "8"
    assert (tmp_path / "ran").stat().st_size == (8 if how == "dies" else 9)
    assert "Traceback" not in err


def test_where_no_process_can_be_made_the_run_ends_with_one_error_that_says_so(tmp_path):
    out, err = said_by(tmp_path, "forks", 0)
    assert out.startswith("KernelError no worker could be made: Resource temporarily unavailable")
    assert "Traceback" not in err


@pytest.mark.parametrize("number", [8, 14, 18])
def test_with_too_few_descriptors_the_run_goes_on_or_ends_with_one_error(tmp_path, number):
    out, _ = said_by(tmp_path, "descriptors", number)
    assert out == "8" or out.startswith(("KernelError ", "ConfigError "))


@pytest.mark.parametrize("start_method", ["forkserver", "fork", "spawn"])
@pytest.mark.parametrize("how", ["ignored", "blocked"])
def test_a_caller_that_ignores_or_blocks_the_ends_of_children_survives_a_workers_death(tmp_path, how, start_method):
    assert said_by(tmp_path, how, 99, start_method) == ("8", "")
