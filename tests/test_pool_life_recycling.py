"""Workers are replaced in good order: after so many nodes, when too large, or for a node that wants its own."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

import pool_life
from kernel import Runner, hookimpl, node, note, pipeline
from kernel.errors import ConfigError

#: What a worker that has loaded the project keeps to itself is less than this (bytes).
SMALL = 200_000_000


class Watcher:
    """Hears of workers that are lost, in the runner, and of their ends in good order, in themselves."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.lost = []

    def __reduce__(self):
        return Watcher, (self.folder,)

    @hookimpl
    def on_worker_lost(self, worker):
        self.lost.append(worker)

    @hookimpl
    def before_worker_stop(self):
        (Path(self.folder) / str(pool_life.process())).touch()


def chain_of(count, function=pool_life.process, **policy):
    """Make nodes of which each waits for the one before."""
    return pipeline(
        [node(function, "x" if at == 0 else [f"p{at - 1}"], f"p{at}", name=f"n{at}", **policy) for at in range(count)]
        + [node(lambda *pids: list(pids), [f"p{at}" for at in range(count)], "pids", name="last")]
    )


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_worker_is_replaced_after_so_many_nodes_and_nobody_is_blamed(method, tmp_path):
    watcher = Watcher(tmp_path)
    options = {"max_nodes_per_worker": 3, "start_method": method}
    with Runner("process_pool", workers=1, executor_options=options, hooks=[watcher]) as runner:
        result = runner.run(chain_of(7), {"x": 0})
    pids = list(Counter(result["pids"]).values())
    assert pids == [3, 3, 1]
    assert watcher.lost == []
    assert {report.attempt for report in result.report.tasks} == {1}
    assert {int(path.name) for path in tmp_path.iterdir()} == set(result["pids"])


def test_no_node_of_a_batch_of_tiny_ones_is_lost_or_run_twice_when_workers_are_replaced(tmp_path):
    count = 300
    steps = pipeline([node(pool_life.process, "x", f"p{at}", name=f"n{at}") for at in range(count)])
    with Runner("process_pool", workers=2, executor_options={"max_nodes_per_worker": 50}) as runner:
        result = runner.run(steps, {"x": 0})
    pids = Counter(dict(result).values())
    assert sum(pids.values()) == count
    assert max(pids.values()) <= 50


def test_a_worker_that_keeps_too_much_memory_is_replaced_and_one_that_does_not_is_kept(tmp_path):
    steps = pipeline(
        [
            node(pool_life.grow, "little", "a", name="small"),
            node(lambda _, big: pool_life.grow(big), ["a", "big"], "b", name="big"),
            node(pool_life.process, "b", "c", name="after"),
            node(pool_life.process, "c", "d", name="long_after"),
        ]
    )
    watcher = Watcher(tmp_path)
    options = {"max_worker_memory": "0.2GB"}
    with Runner("process_pool", workers=1, executor_options=options, hooks=[watcher]) as runner:
        result = runner.run(steps, {"little": 1000, "big": SMALL})
        again = runner.run(steps.only_nodes("long_after"), {"c": 0})
    before, after = result["d"], again["d"]
    assert before == after
    assert watcher.lost == []
    assert len(list(tmp_path.iterdir())) == 2


class Pids:
    """Notes which process a node ran in."""

    @hookimpl
    def after_node_run(self):
        note("pid", pool_life.process())


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_node_with_a_process_of_its_own_meets_nothing_of_others_and_leaves_nothing(method):
    steps = pipeline(
        [
            node(pool_life.spoil, "x", "a", name="spoil"),
            node(pool_life.look, "a", "b", name="alone", fresh_process=True),
            node(pool_life.spoil, "b", "c", name="spoil_alone", fresh_process=True),
            node(pool_life.look, "c", "d", name="look_again", fresh_process=True),
            node(pool_life.process, "d", "e", name="after"),
        ]
    )
    with Runner("process_pool", workers=1, start_method=method, hooks=[Pids()]) as runner:
        untouched = runner.run(pipeline([node(pool_life.look, "x", "seen")]), {"x": 0})["seen"]
        report = runner.run(steps, {"x": 0}).report
        seen = runner.run(
            pipeline([node(pool_life.spoil, "x", "a"), node(pool_life.look, "a", "seen", fresh_process=True)]), {"x": 0}
        )["seen"]
    pids = [each.notes["pid"] for each in report.tasks]
    assert len(set(pids)) == len(pids) == 5
    assert {**seen, "pid": 0} == {**untouched, "pid": 0}


def test_nodes_with_processes_of_their_own_run_beside_others():
    nodes = [node(pool_life.process, "x", f"own{at}", name=f"own{at}", fresh_process=True) for at in range(6)]
    nodes += [node(pool_life.process, "x", f"any{at}", name=f"any{at}") for at in range(40)]
    with Runner("process_pool", workers=2) as runner:
        pids = dict(runner.run(pipeline(nodes), {"x": 0}))
    of_their_own = [pid for name, pid in pids.items() if name.startswith("own")]
    others = {pid for name, pid in pids.items() if name.startswith("any")}
    assert len(set(of_their_own)) == 6
    assert not others & set(of_their_own)


def test_a_fresh_process_is_refused_where_nodes_share_one():
    steps = pipeline([node(pool_life.look, "x", "y", name="alone", fresh_process=True)])
    with pytest.raises(ConfigError, match="'alone' asks for 'fresh_process'"):
        Runner("sequential").run(steps, {"x": 0})
