"""Children that nodes fork off: they end where the node's function ends, and take signals as if there was no run."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap

import pytest

from kernel import Runner, hookimpl, node, pipeline, run
from watching import wait_until

#: What is said of a place where nodes run -> the executor and its options.
PLACES = {
    "sequential": ("sequential", {}),
    "threads": ("threads", {"workers": 2}),
    "forkserver": ("process_pool", {"workers": 1, "start_method": "forkserver"}),
    "spawn": ("process_pool", {"workers": 1, "start_method": "spawn"}),
    "fork": ("process_pool", {"workers": 1, "start_method": "fork"}),
    "futures": ("futures", {"workers": 1}),
}
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(params=PLACES)
def run_there(request):
    executor, options = PLACES[request.param]
    with Runner(executor, **options) as runner:
        yield runner.run


def ended(pid):
    """Wait for a child; return its exit code, or the signal that ended it, below zero."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


# -- a function that two processes come out of ------------------------------------------------------------------------


def forks(path, way):
    """Fork, and let the child go on to the end of the function in its own way; the parent tells how it ended."""
    pid = os.fork()
    if pid == 0:
        if way == "raises":
            raise ValueError("the child's own")
        if way != "returns":
            sys.exit({"exits": 3, "exits with words": "words"}[way])
        return "child"
    with open(path, "a") as file:  # noqa: PTH123 - a node's
        file.write(f"{ended(pid)}\n")
    return "parent"


CODES = {"returns": 0, "raises": 1, "exits": 3, "exits with words": 1}


class Listener:
    """Turns with listeners are run by other code than turns without."""

    @hookimpl
    def before_node_run(self):
        pass


@pytest.mark.parametrize("way", CODES)
def test_a_child_that_comes_to_the_end_of_a_node_ends_there(way, run_there, tmp_path):
    steps = [
        node(forks, ["path", "way"], "first"),
        node(lambda path, way, _: forks(path, way), ["path", "way", "first"], "second"),
    ]
    path = tmp_path / "ends"
    result = run_there(pipeline(steps), {"path": str(path), "way": way})
    assert result["second"] == "parent"
    assert path.read_text().split() == [str(CODES[way])] * 2  # each node ran once, in one process


@pytest.mark.parametrize("way", CODES)
@pytest.mark.parametrize("place", ["sequential", "forkserver"])
def test_with_listeners_a_child_ends_there_too(place, way, tmp_path):
    executor, options = PLACES[place]
    path = tmp_path / "ends"
    steps = pipeline([node(forks, ["path", "way"], "value")])
    with Runner(executor, hooks=[Listener()], **options) as runner:
        assert runner.run(steps, {"path": str(path), "way": way})["value"] == "parent"
    assert path.read_text().split() == [str(CODES[way])]


def chunks(path):
    pid = os.fork()
    yield "from the parent" if pid else "from the child"
    if pid:
        with open(path, "a") as file:  # noqa: PTH123 - a node's
            file.write(f"{ended(pid)}\n")
        yield "the last"


@pytest.mark.parametrize("place", ["sequential", "forkserver"])
def test_a_child_of_a_generator_ends_at_the_next_chunk(place, tmp_path):
    executor, options = PLACES[place]
    path = tmp_path / "ends"
    with Runner(executor, **options) as runner:
        assert runner.run(pipeline([node(chunks, "path", "value")]), {"path": str(path)})["value"] == "the last"
    assert path.read_text().split() == ["0"]


def test_what_a_child_has_printed_is_seen_and_an_error_is_told_as_python_tells_it(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            """
            import os
            from kernel import node, pipeline, run

            def forks():
                pid = os.fork()
                if pid == 0:
                    print("of the child")
                    raise ValueError("the child's own")
                os.waitpid(pid, 0)
                return "parent"

            print(run(pipeline([node(forks, None, "value")]))["value"])
            """
        )
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split("\n") == ["of the child", "parent", ""]
    assert done.stderr.startswith("Traceback")
    assert done.stderr.endswith("ValueError: the child's own\n")


# -- signals ----------------------------------------------------------------------------------------------------------


def wait_for_a_signal():
    signal.pause()


def kill_children(signum):
    """Start children by fork, end each with a signal, and tell which ends were others than by that signal."""
    context = multiprocessing.get_context("fork")
    others = []
    for _ in range(20):
        child = context.Process(target=wait_for_a_signal)
        child.start()
        os.kill(child.pid, signum)
        child.join(60)
        if child.exitcode != -signum:
            others.append(child.exitcode)
            child.kill()
            child.join()
    return others


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP], ids=lambda signum: signum.name)
def test_a_child_dies_of_a_signal_as_it_would_without_a_run(signum, run_there):
    assert run_there(pipeline([node(kill_children, "signum", "others")]), {"signum": signum})["others"] == []


def use_pools(count):
    """Leave the block of a pool, which terminates its processes, again and again."""
    for _ in range(count):
        with multiprocessing.get_context("fork").Pool(2) as pool:
            if pool.map(abs, [-1, -2]) != [1, 2]:
                return "wrong"
    return "right"


@pytest.mark.parametrize("place", PLACES)
def test_pools_in_nodes_end_without_a_word(place, capfd):
    executor, options = PLACES[place]
    assert run(pipeline([node(use_pools, "count", "y")]), {"count": 5}, executor=executor, **options)["y"] == "right"
    assert capfd.readouterr().err == ""


def test_a_child_that_a_run_left_behind_still_dies_of_a_signal_when_the_run_is_over():
    def leave_a_child():
        child = multiprocessing.get_context("fork").Process(target=wait_for_a_signal)
        child.start()
        return child.pid

    pid = run(pipeline([node(leave_a_child, None, "pid")]), executor="sequential")["pid"]
    os.kill(pid, signal.SIGTERM)
    assert ended(pid) == -signal.SIGTERM


def test_a_handler_of_a_run_that_somebody_set_again_after_it_gives_way_to_the_default():
    kept = []

    def keep():
        kept.append(signal.getsignal(signal.SIGTERM))
        return True

    before = signal.getsignal(signal.SIGTERM)
    run(pipeline([node(keep, None, "kept")]), executor="sequential")
    assert signal.getsignal(signal.SIGTERM) is before
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, kept[0])
        os.kill(os.getpid(), signal.SIGTERM)
        os._exit(0)
    assert ended(pid) == -signal.SIGTERM


def test_a_handler_that_a_node_sets_stays():
    def mine(_number, _frame):
        pass

    before = signal.getsignal(signal.SIGTERM)
    try:
        run(
            pipeline([node(lambda: signal.signal(signal.SIGTERM, mine) is not None, None, "set")]),
            executor="sequential",
        )
        assert signal.getsignal(signal.SIGTERM) is mine
    finally:
        signal.signal(signal.SIGTERM, before)


def test_the_parent_of_a_child_still_ends_its_run_by_a_signal(tmp_path):
    ready = tmp_path / "ready"
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import os, pathlib, signal, sys
            from kernel import node, pipeline, run

            def forks():
                pid = os.fork()
                if pid == 0:
                    os._exit(0)
                os.waitpid(pid, 0)
                pathlib.Path({str(ready)!r}).touch()
                while True:
                    signal.pause()

            run(pipeline([node(forks, None, "y")]), executor="sequential")
            """
        )
    )
    child = subprocess.Popen([sys.executable, script], stderr=subprocess.PIPE, text=True)
    wait_until(ready.exists, "the node")
    child.send_signal(signal.SIGTERM)
    assert "Interrupted" in child.communicate(timeout=60)[1]
