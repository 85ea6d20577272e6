"""What a node leaves behind ends with its worker, wherever it has gone; and what a node may do."""

from __future__ import annotations

import os
import signal

import pytest

import pool_life
from kernel import Runner, node, pipeline

METHODS = ["fork", "spawn", "forkserver"]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_ends_and_nothing_lives_that_its_nodes_have_left(method, no_leftovers):
    steps = pipeline([node(function, "x", name, name=name) for name, function in pool_life.LEAVE.items()])
    with Runner("process_pool", workers=2, start_method=method) as runner:
        left = dict(runner.run(steps, {"x": 0}))
    assert not [name for name, pid in left.items() if pool_life.is_alive(pid)]


@pytest.mark.parametrize("method", METHODS)
def test_what_the_nodes_of_a_worker_left_ends_when_the_worker_dies_and_not_that_of_others(method, tmp_path):
    names = sorted(pool_life.LEAVE)
    steps = pipeline(
        [
            node(pool_life.leave_a_daemon, "x", "of_another", name="of_another"),
            *(node(pool_life.leave_and_die, [f"params:{name}", "folder"], name, name=name) for name in names),
        ]
    )
    values = {"x": 0, "folder": str(tmp_path), **{f"params:{name}": name for name in names}}
    with Runner("process_pool", workers=2, start_method=method) as runner:
        left = dict(runner.run(steps, values))
        survivor = runner.run(pipeline([node(pool_life.leave_a_daemon, "x", "left")]), {"x": 0})["left"]
        pool_life.wait_until(
            lambda: not [name for name in names if pool_life.is_alive(left[name])], "the end of what was left"
        )
        assert pool_life.is_alive(survivor)
    assert not pool_life.is_alive(survivor)


@pytest.mark.parametrize("cancel", [signal.SIGKILL, signal.SIGSEGV])
def test_a_worker_that_is_killed_from_outside_takes_what_it_left_with_it(cancel):
    steps = pipeline([node(pool_life.process, "x", "pid"), node(pool_life.leave_a_daemon, "x", "left", name="left")])
    with Runner("process_pool", workers=1) as runner:
        result = runner.run(steps, {"x": 0})
        assert pool_life.is_alive(result["left"])
        os.kill(result["pid"], cancel)
        pool_life.wait_until(lambda: not pool_life.is_alive(result["left"]), "the end of what was left")


@pytest.mark.parametrize("method", METHODS)
def test_a_node_may_use_threads_forks_pools_and_a_runner_of_its_own(method):
    functions = [each for name, each in vars(pool_life).items() if name.startswith("use_")]
    steps = pipeline([node(function, "x", function.__name__) for function in functions])
    with Runner("process_pool", workers=2, start_method=method) as runner:
        result = dict(runner.run(steps, {"x": 0}))
    assert result == {function.__name__: 285 for function in functions}
