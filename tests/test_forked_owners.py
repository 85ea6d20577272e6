"""What a child inherits of runners and results is its parent's: used, closed or left, it changes nothing there."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from family import Child
from kernel import Runner, node, pipeline
from kernel.specs.executor import Reach
from kernel_objects import ObjectsCatalog
from kernel_shared_memory import SharedMemoryCatalog
from watching import descendants, wait_until

MB = 1 << 20
METHODS = ["forkserver", "spawn", "fork"]


def make(n):
    return np.full(MB // 8, float(n))


def who(n):
    return n, os.getppid()


flow = pipeline([node(make, "n", "x"), node(who, "n", "who")])


def value(result):
    return float(result["x"].min()), float(result["x"].max())


def go_on(runner, result):
    """Show that a parent's run and its results are whole."""
    assert value(result) == (1, 1)
    for n in range(2, 5):
        with runner.run(flow, {"n": n}) as other:
            assert value(other) == (n, n)
            assert other["who"][0] == n
    assert value(result) == (1, 1)


@pytest.mark.parametrize("method", METHODS)
def test_a_child_runs_anew_with_workers_of_its_own(method):
    with Runner("process_pool", workers=1, start_method=method) as runner:
        result = runner.run(flow, {"n": 1})
        ours = result["who"][1]

        def run_twice():
            with runner.run(flow, {"n": 8}) as first, runner.run(flow, {"n": 9}) as second:
                assert first["who"][1] == second["who"][1] != ours
                return value(first), value(second)

        child = Child(run_twice)
        go_on(runner, result)
        assert child() == ((8, 8), (9, 9))
        go_on(runner, result)
        child.end()
        go_on(runner, result)


def close_runner(runner, _result):
    runner.close()


def close_result(_runner, result):
    result.close()


def leave_with_block(runner, _result):
    with runner:
        pass


def close_both_and_run(runner, result):
    result.close()
    runner.close()
    runner.run(flow, {"n": 7}).close()


@pytest.mark.parametrize("act", [close_runner, close_result, leave_with_block, close_both_and_run])
@pytest.mark.parametrize("catalog", ["shared_memory", "directory", "spill", "objects"])
def test_what_a_child_does_with_what_it_inherits_is_nothing_to_its_parent(tmp_path, act, catalog):
    options = {
        "shared_memory": {},
        "directory": {"directory": tmp_path},
        "spill": {"spill": tmp_path, "memory_limit": 1},
        "objects": {"url": tmp_path},
    }[catalog]
    name = "objects" if catalog == "objects" else "shared_memory"
    with Runner("process_pool", name, workers=1, catalog_options=options) as runner:
        result = runner.run(flow, {"n": 1})
        child = Child(lambda: act(runner, result))
        child()
        go_on(runner, result)
        child()
        child.end()
        go_on(runner, result)
    assert bool(list(tmp_path.iterdir())) == (catalog != "shared_memory")
    result.close()
    assert not list(tmp_path.iterdir())


SCRIPT = """
import os, sys
from kernel import {kind}, node, pipeline
def make(n): return bytes([n]) * 200_000
flow = pipeline([node(make, "n", "x")])
def child_of(how):
    child = os.fork()
    if not child:
        if how == "exit":
            sys.exit(0)
        return True
    os.waitpid(child, 0)
with {kind}({arguments}) as runner:
    result = runner.run(flow, {{"n": 1}})
    if not child_of({how!r}):
        assert result["x"] == bytes([1]) * 200_000
        assert runner.run(flow, {{"n": 2}})["x"] == bytes([2]) * 200_000
        assert result["x"] == bytes([1]) * 200_000
        print("whole", flush=True)
"""


@pytest.mark.parametrize("how", ["exit", "end"])
@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("Runner", ""),
        ("Runner", "'threads'"),
        ("Runner", "'process_pool', catalog_options={'place': 'directory'}"),
        ("Runner", "'process_pool', catalog_options={'memory_limit': 1}"),
        ("Runner", "'process_pool', start_method='fork'"),
        ("ParallelRunner", "2"),
    ],
)
def test_a_child_that_leaves_its_parents_runner_behind_touches_nothing(kind, arguments, how):
    script = SCRIPT.format(kind=kind, arguments=arguments, how=how)
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", script]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "whole\n", "")


def test_a_child_that_is_forked_during_a_run_of_another_thread_can_run_itself():
    begun, go = threading.Event(), threading.Event()

    def wait(n):
        begun.set()
        go.wait()
        return n

    runner = Runner("threads", workers=1)
    waiting = pipeline([node(wait, "n", "y")])
    thread = threading.Thread(target=runner.run, args=(waiting, {"n": 1}))
    thread.start()
    begun.wait()
    child = Child(lambda: runner.run(flow, {"n": 5})["who"][0])
    assert child() == 5
    go.set()
    thread.join()
    child.end()


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_ends_in_good_order_while_a_child_has_copies_of_its_streams(method, monkeypatch):
    from kernel_process_pool import launchers

    monkeypatch.setattr(launchers, "_PATIENCE_S", 300.0)  # beyond the test's own limit
    before = set(descendants(os.getpid()))
    with Runner("process_pool", workers=2, start_method=method) as runner:
        runner.run(flow, {"n": 1}).close()
        child = Child(os.getpid)
    wait_until(lambda: set(descendants(os.getpid())) - before == {child.pid}, "the end of the pool")
    child.end()


@pytest.mark.parametrize("kind", ["shared_memory", "objects"])
def test_a_catalog_in_a_child_drops_nothing_of_its_parents(tmp_path, kind):
    catalog = SharedMemoryCatalog(directory=tmp_path) if kind == "shared_memory" else ObjectsCatalog(url=tmp_path)
    store = catalog.open({}, Reach.PROCESS, 1)
    catalog.adopt(["x", "y"], [store.save("x", make(1)), store.save("y", make(2))])
    before = sorted(tmp_path.rglob("*"))

    def drop_all():
        catalog.release(["x"])
        catalog.settle([])
        catalog.close()
        store.close()

    child = Child(drop_all)
    child()
    child.end()
    assert sorted(tmp_path.rglob("*")) == before
    catalog.adopt(["z"], [store.save("z", make(3))])
    assert [float(store.load(name, catalog.handle(name)).max()) for name in ("x", "y", "z")] == [1, 2, 3]
    catalog.close()


def test_a_catalog_of_the_next_run_that_only_a_child_forgets_is_still_waited_for():
    catalog = SharedMemoryCatalog()
    store = catalog.open({}, Reach.PROCESS, 1)
    catalog.adopt(["x"], [store.save("x", make(1))])
    heirs = [catalog.successor()]
    child = Child(heirs.clear)
    child()
    child.end()
    catalog.settle([])
    heir = heirs.pop()
    again = heir.open({}, Reach.PROCESS, 1)
    heir.adopt(["x"], [again.save("x", make(2))])
    assert float(again.load("x", heir.handle("x")).max()) == 2
    heir.close()
