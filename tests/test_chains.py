"""Chains: a worker goes straight on to what follows, and hands it its input as it is where nobody can tell."""

from __future__ import annotations

import numpy as np
import pytest

import chain_nodes
from kernel import Runner, hookimpl, node, pipeline, run
from kernel.errors import NodeError, WorkerLost
from kernel.hooks import Hooks
from kernel.program import make_program
from kernel.specs.events import Outcomes, Published, State
from kernel.specs.executor import Reach
from kernel.specs.tasks import MADE, Chain, Tasks
from kernel_process_pool import ProcessPoolExecutor
from kernel_shared_memory import SharedMemoryCatalog
from watching import shared_memory, wait_until

pytestmark = pytest.mark.timeout(60)

SIZE = 500_000  # of eight bytes: far above what travels inside a message


@pytest.fixture(scope="module")
def runner():
    with Runner("process_pool", workers=2) as runner:
        yield runner


class Heard:
    """Keeps the order in which nodes were done."""

    def __init__(self):
        self.done = []

    @hookimpl
    def on_task_done(self, node, report):
        self.done.append((node.name, report.state, report.attempt))


def straight():
    return [
        node(chain_nodes.numbers, "size", "a", name="make"),
        node(chain_nodes.doubled, "a", "b", name="double"),
        node(chain_nodes.doubled, "b", "c", name="again"),
        node(chain_nodes.total, "c", "d", name="total"),
    ]


def test_a_value_read_only_by_the_next_node_of_a_chain_is_handed_on_as_it_is(runner):
    with runner.run(pipeline(straight()), {"size": SIZE}) as result:
        assert result["d"] == 4 * sum(range(SIZE))
        tasks = {task.node: task for task in result.report.tasks}
        assert [task.state for task in tasks.values()] == [State.DONE] * 4
        assert len({task.worker for task in tasks.values()}) == 1
        assert result.report.bytes == 0
        assert len({tasks[name].notes["address"] for name in ("double", "again", "total")}) == 1


def test_each_node_of_a_chain_is_told_of_in_its_order():
    heard = Heard()
    with Runner("process_pool", workers=2, hooks=[heard]) as runner:
        runner.run(pipeline(straight()), {"size": 10}).close()
    assert heard.done == [(name, State.DONE, 1) for name in ("make", "double", "again", "total")]


def test_what_a_node_keeps_for_itself_no_other_can_change(runner):
    nodes = [
        node(chain_nodes.numbers_kept, "size", "a", name="make"),
        node(chain_nodes.total_of_kept, "a", "b", name="spoil"),
    ]
    with runner.run(pipeline(nodes), {"size": SIZE}) as result:
        assert result["b"] == sum(range(SIZE))


def test_a_value_with_other_readers_is_there_for_them_all(runner):
    nodes = [*straight(), node(chain_nodes.total, "b", "e", name="other")]
    with runner.run(pipeline(nodes), {"size": SIZE}) as result:
        assert (result["d"], result["e"]) == (4 * sum(range(SIZE)), 2 * sum(range(SIZE)))
        assert result.report.bytes >= 8 * SIZE


def test_a_node_with_two_parents_in_its_chain_gets_both(runner):
    nodes = [
        node(chain_nodes.numbers, "size", "a", name="make"),
        node(chain_nodes.total, "a", "b", name="total"),
        node(lambda values, number: float(values[1] + number), ["a", "b"], "c", name="both"),
    ]
    with runner.run(pipeline(nodes), {"size": SIZE}) as result:
        assert result["c"] == 1 + sum(range(SIZE))


def test_a_chain_whose_worker_dies_runs_again_from_what_others_can_see(runner, tmp_path):
    nodes = [
        node(chain_nodes.numbers, "size", "a", name="make"),
        node(chain_nodes.counted, ["folder", "a"], "b", name="count"),
        node(chain_nodes.dies_once, ["folder", "b"], "c", name="deadly"),
        node(chain_nodes.total, "c", "d", name="total"),
    ]
    with runner.run(pipeline(nodes), {"size": SIZE, "folder": str(tmp_path)}) as result:
        assert result["d"] == SIZE + sum(range(SIZE))
        attempts = [(task.node, task.attempt) for task in result.report.tasks if task.state == State.DONE]
    assert attempts == [("make", 1), ("count", 1), ("make", 2), ("count", 2), ("deadly", 2), ("total", 1)]
    assert len(list(tmp_path.glob("ran-*"))) == 2


def test_in_the_middle_of_a_chain_the_node_that_kills_is_to_blame(runner):
    nodes = [
        node(chain_nodes.numbers, "size", "a", name="make"),
        node(chain_nodes.dies, "a", "b", name="deadly"),
        node(chain_nodes.total, "b", "c", name="total"),
    ]
    with pytest.raises(WorkerLost, match="SIGKILL") as caught:
        runner.run(pipeline(nodes), {"size": SIZE})
    assert (caught.value.node, caught.value.attempts) == ("deadly", 2)


def test_nothing_is_run_twice_for_a_chain_where_a_node_forbids_it(runner, tmp_path):
    nodes = [
        node(chain_nodes.counted, ["folder", "start"], "b", name="count", death_retries=0),
        node(chain_nodes.dies_once, ["folder", "b"], "c", name="deadly"),
        node(chain_nodes.total, "c", "d", name="total"),
    ]
    with runner.run(pipeline(nodes), {"start": np.zeros(SIZE), "folder": str(tmp_path)}) as result:
        assert result["d"] == SIZE
    assert len(list(tmp_path.glob("ran-*"))) == 1


@pytest.mark.parametrize("on_failure", ["stop", "drain", "continue"])
def test_after_a_failure_in_a_chain_nothing_that_follows_is_run(on_failure, tmp_path):
    nodes = [
        node(chain_nodes.numbers, "size", "a", name="make"),
        node(chain_nodes.fails, "a", "b", name="bad"),
        node(chain_nodes.counted, ["folder", "b"], "c", name="next"),
        node(chain_nodes.total, "c", "d", name="last"),
    ]
    heard = Heard()
    with pytest.raises(NodeError) as caught:
        run(
            pipeline(nodes),
            {"size": SIZE, "folder": str(tmp_path)},
            executor="process_pool",
            workers=1,
            on_failure=on_failure,
            hooks=[heard],
        )
    assert caught.value.node == "bad"
    assert heard.done == [("make", State.DONE, 1), ("bad", State.FAILED, 1)]
    assert not list(tmp_path.glob("ran-*"))


def test_a_value_kept_for_a_turn_that_is_taken_back_is_published_after_all(tmp_path):
    """By hand, for a run has few moments in which it happens: the head of a chain runs while its next is taken back."""
    nodes = pipeline(
        [
            node(chain_nodes.slow_numbers, "folder", "a", name="head"),
            node(chain_nodes.total, "a", "b", name="next"),
        ]
    )
    catalog, executor = SharedMemoryCatalog(), ProcessPoolExecutor()
    store = catalog.open({}, Reach.PROCESS, 1)
    free = {"folder": store.save("folder", str(tmp_path))}
    program = make_program(nodes.plan, run_id="r", is_async=False, store=store, free=free, datasets={}, hooks=Hooks([]))
    try:
        executor.start(program, 1)
        executor.submit(Tasks([0], [()], [0], chains={0: Chain([1], [(MADE,)], [1], inner=1)}))
        while not (tmp_path / "started").exists():
            executor.wait(0.05)
        executor.cancel(kill=False)
        (tmp_path / "gate").touch()
        events = []
        while not any(isinstance(event, Outcomes) and event.states.get(0) == State.CANCELLED for event in events):
            events += [event for event in executor.wait(1.0) if isinstance(event, (Outcomes, Published))]
        assert [type(event) for event in events] == [Outcomes, Published, Outcomes]
        assert (list(events[0].index), dict(events[0].states)) == ([0], {0: State.DONE_LOCAL})
        assert store.load("a", events[1].handles[0]).sum() == 100_000
        assert list(events[2].index) == [1]
    finally:
        executor.shutdown(cancel=True)
        catalog.close()


# -- who gets what -------------------------------------------------------------------------------------------------


def test_nodes_that_wait_behind_one_that_takes_long_are_run_by_others(runner):
    count = chain_nodes.POISON + 700
    nodes = pipeline([node(chain_nodes.tiny_but_one, f"i{at}", f"o{at}", name=f"n{at}") for at in range(count)])
    values = {f"i{at}": at for at in range(count)}
    with runner.run(nodes, values) as result:
        assert dict(result) == {f"o{at}": at + 1 for at in range(count)}
        tasks = {task.node: task for task in result.report.tasks}
    long = tasks.pop(f"n{chain_nodes.POISON}")
    assert len(tasks) == count - 1
    behind = [task for task in tasks.values() if task.worker == long.worker and task.start >= long.end]
    assert not behind, f"{len(behind)} nodes waited for the long one"


def test_of_the_nodes_that_are_ready_the_one_with_the_longest_way_to_go_starts_first():
    short = [node(chain_nodes.tiny, "x", f"s{at}", name=f"short{at}") for at in range(5)]
    long = [node(chain_nodes.tiny, "x", "l0", name="long0", timeout=30)]
    long += [node(chain_nodes.tiny, f"l{at}", f"l{at + 1}", name=f"long{at + 1}", timeout=30) for at in range(3)]
    with run(pipeline([*short, *long]), {"x": 1}, executor="process_pool", workers=1) as result:
        order = [task.node for task in sorted(result.report.tasks, key=lambda task: task.start)]
    assert order[:3] == ["long0", "long1", "long2"]


def test_a_pipeline_of_chains_comes_to_what_it_does_in_one_process(runner):
    nodes = [node(chain_nodes.numbers, "size", f"a{at}0", name=f"make{at}") for at in range(20)]
    nodes += [
        node(chain_nodes.doubled, f"a{at}{step}", f"a{at}{step + 1}", name=f"double{at}-{step}")
        for at in range(20)
        for step in range(5)
    ]
    nodes += [node(chain_nodes.total, f"a{at}5", f"t{at}", name=f"total{at}") for at in range(20)]
    before = shared_memory()
    with runner.run(pipeline(nodes), {"size": 10_000}) as result:
        assert set(result.values()) == {32.0 * sum(range(10_000))}
    wait_until(lambda: not shared_memory() - before, "no directory of shared memory")
