"""Values that live in memory: how they get from one process to another, and how long they stay."""

from __future__ import annotations

import gc
import os
import threading
import time

import numpy as np
import pytest

import kernel_sequential
import kernel_shared_memory
import parallel_nodes as nodes
from kernel import MemoryDataset, ParallelRunner, Runner, hookimpl, node, pipeline, run
from kernel.errors import DatasetError, NodeError, ValidationError

MB = 1 << 20
METHODS = [
    "spawn",
    "forkserver",
    pytest.param("fork", marks=pytest.mark.timeout(120, method="signal")),
]


def ones(size):
    return np.ones(size // 8)


def total(array):
    return float(array.sum())


def plus_one(array):
    return array + 1


@pytest.fixture(scope="module")
def pool():
    with ParallelRunner(2) as runner:
        yield runner


def through_a_file(x, path):
    return x


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("declared", [False, True])
def test_a_value_crosses_between_two_processes_whether_it_is_declared_or_not(tmp_path, method, declared):
    # Two nodes that meet are in two processes; each then reads what the other has made.
    flow = pipeline(
        [
            node(nodes.touch_then, ["one", "two"], "pid_1", name="meet_1"),
            node(nodes.touch_then, ["two", "one"], "pid_2", name="meet_2"),
            node(nodes.add, ["pid_1", "seven"], "made", name="make"),
            node(nodes.add, ["made", "pid_2"], "last", name="read"),
        ]
    )
    datasets = {"one": str(tmp_path / "1"), "two": str(tmp_path / "2"), "seven": 7}
    if declared:
        datasets |= {name: MemoryDataset() for name in ("pid_1", "pid_2", "made", "last")}
    result = ParallelRunner(2, start_method=method).run(flow, datasets)
    watched = result.report.tasks
    assert {each.worker for each in watched} == {0, 1}
    assert isinstance(result["last"], int)
    assert result["last"] > 7


def test_a_declared_memory_dataset_that_is_a_free_output_is_returned(pool):
    flow = pipeline([node(nodes.same, "x", "y", name="copy")])
    assert pool.run(flow, {"x": 7, "y": MemoryDataset()})["y"] == 7


def test_a_large_value_of_a_declared_memory_dataset_crosses_as_well(pool):
    flow = pipeline([node(ones, "n", "array", name="make"), node(total, "array", "sum", name="read")])
    assert pool.run(flow, {"n": 8 * MB, "array": MemoryDataset()})["sum"] == MB


def test_an_empty_declared_memory_dataset_that_nobody_makes_is_an_error_before_the_run(tmp_path):
    mark = tmp_path / "ran"
    flow = pipeline(
        [node(nodes.touch, "path", "z", name="would_run"), node(nodes.same, "empty", "y", name="reads_empty")]
    )
    with pytest.raises(ValidationError, match=r"'empty'.*'reads_empty'"):
        ParallelRunner(2).run(flow, {"path": str(mark), "empty": MemoryDataset()})
    assert not mark.exists()


def test_the_datasets_of_the_user_are_not_changed_by_a_run(pool):
    given = {"x": MemoryDataset([1]), "y": MemoryDataset()}
    flow = pipeline([node(nodes.append_one, "x", "y", name="change")])
    pool.run(flow, given)
    assert given["x"].load() == [1]
    assert not given["y"].exists()


def test_a_value_that_cannot_be_serialised_is_an_error_with_node_dataset_and_type(pool):
    flow = pipeline([node(nodes.a_lock, "x", "lock", name="make"), node(nodes.nothing, "lock", None, name="read")])
    with pytest.raises(NodeError) as caught:
        pool.run(flow, {"x": 1})
    assert caught.value.node == "make"
    assert isinstance(caught.value.cause, DatasetError)
    for part in ("lock:", "'lock'", "cannot be serialised"):
        assert part in str(caught.value)


def test_free_inputs_in_memory_are_not_part_of_any_task(monkeypatch):
    sent = []
    submit = kernel_sequential.SequentialExecutor.submit

    def spy(self, tasks):
        sent.extend(tasks)
        submit(self, tasks)

    monkeypatch.setattr(kernel_sequential.SequentialExecutor, "submit", spy)
    flow = pipeline(
        [
            node(nodes.same, "params:x", "a", name="first"),
            node(nodes.add, ["a", "params:x"], "b", name="second"),
        ]
    )
    run(flow, {"params:x": "long" * 100})
    assert [len(turn.handles) for turn in sent] == [0, 1]
    assert "longlong" not in repr(sent[0])


@pytest.mark.parametrize("method", METHODS)
def test_functions_cross_once_to_each_worker_however_many_nodes_use_them(tmp_path, method):
    arrivals = tmp_path / "arrivals"
    function = nodes.CountsItsArrivals(arrivals)
    meeting = [
        node(nodes.touch_then, ["one", "two"], "a", name="meet_1"),
        node(nodes.touch_then, ["two", "one"], "b", name="meet_2"),
    ]
    flow = pipeline([*meeting, *(node(function, "a", f"out_{n}", name=f"node_{n}") for n in range(30))])
    ParallelRunner(2, start_method=method).run(flow, {"one": str(tmp_path / "1"), "two": str(tmp_path / "2")})
    pids = [each["pid"] for each in nodes.records(arrivals) if each["pid"] != os.getpid()]
    assert len(pids) == len(set(pids)) == 2


def test_results_are_readable_after_the_runner_is_closed_and_forgotten():
    flow = pipeline([node(ones, "n", "array", name="make"), node(nodes.same, "x", "small", name="copy")])
    runner = ParallelRunner(2)
    result = runner.run(flow, {"n": 8 * MB, "x": [1, 2]})
    runner.close()
    del runner
    gc.collect()
    assert result["array"].sum() == MB
    assert result["small"] == [1, 2]


def test_results_of_earlier_runs_stay_when_a_warm_runner_goes_on(pool):
    flow = pipeline([node(ones, "n", "array", name="make")])
    results = [pool.run(flow, {"n": size * MB}) for size in (1, 2, 3)]
    assert [result["array"].nbytes for result in results] == [MB, 2 * MB, 3 * MB]


def test_a_closed_result_says_so():
    flow = pipeline([node(nodes.same, "x", "y", name="copy")])
    with ParallelRunner(1).run(flow, {"x": 1}) as result:
        assert result["y"] == 1
    with pytest.raises(ValueError, match=r"closed.*'y'"):
        result["y"]


@pytest.mark.parametrize(
    ("executor", "catalog"),
    [
        ("sequential", None),
        ("threads", None),
        ("process_pool", "memory"),
        ("process_pool", "shared_memory"),
    ],
)
def test_what_a_node_does_to_its_input_is_seen_by_nobody_else(executor, catalog):
    array = np.zeros(64 * 1024)
    flow = pipeline(
        [
            node(nodes.append_one, "given", "one", name="one"),
            node(nodes.append_one, "given", "two", name="two"),
            node(nodes.same, "given", "made", name="copy"),
            node(nodes.append_one, "made", "three", name="three"),
            node(nodes.append_one, "made", "four", name="four"),
            node(plus_one, "array", "next", name="plus_one"),
            node(nodes.fill_with_nines, "next", "nines", name="nines"),
            node(nodes.fill_with_nines, "array", "more_nines", name="more_nines"),
            node(total, ["next"], "sum", name="sum"),
        ]
    )
    given = [0]
    result = run(flow, {"given": given, "array": array}, executor=executor, catalog=catalog, workers=2)
    assert [result[name] for name in ("one", "two", "three", "four")] == [2, 2, 2, 2]
    assert result["sum"] == array.size
    assert result["nines"] == result["more_nines"] == 9 * array.size
    assert given == [0]
    assert not array.any()
    first = result["four"]
    assert first == result["four"]


def test_two_reads_of_a_result_are_two_values(pool):
    result = pool.run(pipeline([node(nodes.same, "x", "y", name="copy")]), {"x": [1]})
    result["y"].append(2)
    assert result["y"] == [1]


class MemoryInUse:
    """Asks the catalog of the run how much memory it takes whenever a node is done."""

    def __init__(self):
        self.catalogs, self.seen = [], []

    @hookimpl
    def on_task_done(self):
        self.seen.append(self.catalogs[-1].memory_in_use())


@pytest.fixture
def in_use(monkeypatch):
    watch = MemoryInUse()
    opened = kernel_shared_memory.SharedMemoryCatalog.open

    def spy(self, *arguments):
        watch.catalogs.append(self)
        return opened(self, *arguments)

    monkeypatch.setattr(kernel_shared_memory.SharedMemoryCatalog, "open", spy)
    return watch


class TakesItsTime:
    """A listener that holds the runner up, as one does that writes to a slow disk."""

    @hookimpl
    def on_task_done(self):
        time.sleep(0.02)


def one_after_the_other(length, **options):
    """Build nodes that make one large value from the last; each has two readers, else it would not be shared."""
    nodes = [node(ones, "n", "array_0", name="node_00", **options)]
    for at in range(length):
        other = f"other_{at:02}"
        nodes.append(node(total, f"array_{at}", f"sum_{at}", name=other, **options))
        following = f"node_{at + 1:02}"
        nodes.append(node(plus_one, f"array_{at}", f"array_{at + 1}", name=following, after=other, **options))
    return pipeline([*nodes, node(total, f"array_{length}", "sum", name="node_99", **options)])


def test_memory_is_given_back_as_soon_as_the_last_reader_is_done(in_use):
    length = 24
    flow = one_after_the_other(length, timeout=600)  # in no chain: each waits for the runner, which gives back first
    result = ParallelRunner(2, hooks=[in_use]).run(flow, {"n": 4 * MB})
    assert result["sum"] == (length + 1) * 4 * MB / 8
    assert max(in_use.seen) >= 4 * MB
    assert max(in_use.seen) <= 4 * 4 * MB + MB, "two values of each worker: all together would be 100 MB"
    assert in_use.catalogs[-1].memory_in_use() == 0


def test_in_a_chain_memory_is_used_again_although_the_runner_is_slow_to_hear_of_it(in_use):
    length, size = 24, 16 * MB
    result = ParallelRunner(2, hooks=[in_use, TakesItsTime()]).run(one_after_the_other(length), {"n": size})
    assert len({each.worker for each in result.report.tasks}) == 1, "all of it is one chain"
    assert result["sum"] == (length + 1) * size / 8
    assert max(in_use.seen) <= 6 * size, "all the values together would be 400 MB"
    assert in_use.catalogs[-1].memory_in_use() == 0


def test_a_chain_goes_on_while_the_runner_is_held_up_for_long(tmp_path):
    mark, waited = tmp_path / "last", []

    class Waits:
        @hookimpl
        def on_task_done(self, node):
            if node.name == "node_00":
                nodes.wait_until(mark.exists, "the last node of the chain")
                waited.append(node.name)

    flow = one_after_the_other(4) + pipeline([node(nodes.touch, ["path", "sum"], "touched", name="last")])
    ParallelRunner(1, hooks=[Waits()]).run(flow, {"n": 16 * MB, "path": str(mark)})
    assert waited == ["node_00"]


def test_a_free_output_keeps_its_memory_for_the_result_and_a_value_that_was_read_gives_it_to_the_next(in_use):
    alone = {"timeout": 600}  # in no chain: it is handed out once what was read before is given back
    flow = pipeline(
        [
            node(ones, "n", "kept", name="a_kept"),
            node(ones, "n", "read", name="b_made", after="a_kept"),
            node(total, "read", "sum", name="c_read"),
            node(total, "read", "sum_2", name="c_read_too"),
            node(ones, "n", "again", name="d_made", after=["c_read", "c_read_too"], **alone),
            node(total, "again", "sum_again", name="e_read"),
            node(total, "again", "sum_again_2", name="e_read_too"),
        ]
    )
    result = ParallelRunner(1, hooks=[in_use]).run(flow, {"n": 4 * MB})
    assert 4 * MB <= in_use.seen[-1] < 3 * 4 * MB
    assert result["kept"].nbytes == 4 * MB
    assert in_use.catalogs[-1].memory_in_use() < 2 * 4 * MB
    result.close()
    assert in_use.catalogs[-1].memory_in_use() == 0


def test_memory_of_a_failed_run_is_given_back(in_use):
    flow = pipeline([node(ones, "n", "a", name="make"), node(nodes.boom, "a", "b", name="boom")])
    with pytest.raises(NodeError):
        ParallelRunner(1, hooks=[in_use]).run(flow, {"n": 4 * MB})
    assert in_use.catalogs[-1].memory_in_use() == 0


def test_an_array_may_be_changed_by_its_reader_unless_its_dataset_is_readonly(pool):
    flow = pipeline([node(ones, "n", "array", name="make"), node(nodes.fill_with_nines, "array", "sum", name="write")])
    assert pool.run(flow, {"n": MB})["sum"] == 9 * MB / 8
    with pytest.raises(NodeError, match="read-only") as caught:
        pool.run(flow, {"n": MB, "array": MemoryDataset(copy_mode="readonly")})
    assert caught.value.node == "write"


def test_many_threads_may_run_nodes_on_lazily_built_datasets(tmp_path):
    datasets = {f"file_{n}": nodes.FileDataset(tmp_path / f"{n}") for n in range(20)}
    flow = pipeline(
        [
            *(node(nodes.same, "x", f"file_{n}", name=f"write_{n}") for n in range(20)),
            *(node(nodes.same, f"file_{n}", f"out_{n}", name=f"read_{n}") for n in range(20)),
        ]
    )
    result = Runner("threads", workers=8).run(flow, {"x": 1, **datasets})
    assert set(result.values()) == {1}
    assert threading.active_count() < 8
