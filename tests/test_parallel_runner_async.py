"""Loading and saving the datasets of a node in threads."""

from __future__ import annotations

import os
import threading

import pytest

import parallel_nodes as nodes
from kernel import Datasets, hookimpl, node, note, pipeline, run
from kernel.errors import NodeError

EXECUTORS = ["sequential", "threads", "process_pool"]


def meeting(folder, *names):
    """Datasets whose loads and saves end only when all of them have begun."""
    return {name: nodes.OnlyLoads(folder, name, names) for name in names}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_all_inputs_are_loaded_at_the_same_time(tmp_path, executor):
    flow = pipeline([node(nodes.add, ["a", "b"], "sum", name="add")])
    result = run(flow, meeting(tmp_path, "a", "b"), executor=executor, is_async=True)
    assert result["sum"] == "ab"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_all_outputs_are_saved_at_the_same_time(tmp_path, executor):
    flow = pipeline([node(twice, "x", ["a", "b"], name="split")])
    run(flow, {"x": 1, **meeting(tmp_path, "a", "b")}, executor=executor, is_async=True)
    assert {path.name for path in tmp_path.iterdir()} == {"a", "b"}


def twice(x):
    return x, x


@pytest.mark.parametrize("executor", EXECUTORS)
def test_of_several_loads_that_fail_the_first_in_the_order_of_inputs_is_told(executor):
    flow = pipeline([node(nodes.nothing, ["x", "second", "third"], None, name="read")])
    datasets = {"x": 1, "second": nodes.Broken("load"), "third": nodes.Broken("load")}
    with pytest.raises(NodeError, match="second: ") as caught:
        run(flow, datasets, executor=executor, is_async=True)
    assert caught.value.node == "read"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_of_several_saves_that_fail_the_first_in_the_order_of_outputs_is_told(tmp_path, executor):
    flow = pipeline([node(three_times, "x", ["a", "b", "c"], name="split")])
    datasets = {
        "x": 1,
        "a": nodes.FileDataset(tmp_path / "a"),
        "b": nodes.Broken("save"),
        "c": nodes.Broken("save"),
    }
    with pytest.raises(NodeError, match="b: "):
        run(flow, datasets, executor=executor, is_async=True)
    assert (tmp_path / "a").exists()


def three_times(x):
    return x, x, x


@pytest.mark.parametrize("executor", EXECUTORS)
def test_hooks_are_told_of_asynchronous_runs_and_those_of_loads_come_in_the_thread_that_loads(tmp_path, executor):
    heard = {}
    for is_async in (False, True):
        log = tmp_path / f"log_{is_async}"
        files = {name: nodes.FileDataset(tmp_path / f"{name}_{is_async}") for name in ("a", "b")}
        flow = pipeline([node(twice, "x", ["a", "b"], name="split"), node(nodes.add, ["a", "b"], "sum", name="add")])
        run(flow, {"x": 1, **files}, executor=executor, is_async=is_async, hooks=[nodes.Recorder(log)])
        heard[is_async] = nodes.records(log)
        flags = {each["is_async"] for each in heard[is_async] if "is_async" in each}
        assert flags == {is_async}
    for is_async in (False, True):
        at = [each for each in heard[is_async] if each.get("node") == "add"]
        runs = next(each["thread"] for each in at if each["hook"] == "before_node_run")
        loads = [(each["hook"], each["dataset"], each["thread"]) for each in at if each["hook"].endswith("_loaded")]
        for name in ("a", "b"):
            before, after = [(hook, thread) for hook, dataset, thread in loads if dataset == name]
            assert (before[0], after[0]) == ("before_dataset_loaded", "after_dataset_loaded")
            assert before[1] == after[1]
            assert (before[1] != runs) is is_async


def test_saves_are_announced_in_the_order_of_outputs_by_the_thread_of_the_node(tmp_path):
    log = tmp_path / "log"
    files = {name: nodes.FileDataset(tmp_path / name) for name in ("c", "a", "b")}
    flow = pipeline([node(three_times, "x", ["c", "a", "b"], name="split")])
    run(flow, {"x": 1, **files}, is_async=True, hooks=[nodes.Recorder(log)])
    announced = [each for each in nodes.records(log) if each["hook"] == "before_dataset_saved"]
    assert [each["dataset"] for each in announced] == ["c", "a", "b"]
    assert {each["thread"] for each in announced} == {threading.get_ident()}
    assert sorted(each["dataset"] for each in nodes.records(log) if each["hook"] == "after_dataset_saved") == [*"abc"]


class NotesItsLoads:
    """Notes which thread loads; a note has to find its way from there into the node's report."""

    @hookimpl
    def after_dataset_loaded(self, dataset_name):
        note(dataset_name, (os.getpid(), threading.get_ident()))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_notes_from_loading_threads_reach_the_report_and_threads_are_kept_from_node_to_node(tmp_path, executor):
    count = 40
    files = {name: nodes.FileDataset(tmp_path / name) for name in ("a", "b")}
    for each in files.values():
        each.save(1)
    flow = pipeline([node(nodes.add, ["a", "b"], f"sum_{n}", name=f"add_{n}") for n in range(count)])
    result = run(flow, files, executor=executor, workers=1, is_async=True, hooks=[NotesItsLoads()])
    notes = [each.notes for each in result.report.tasks]
    assert all(note.keys() == {"a", "b"} for note in notes)
    threads = {place for note in notes for place in note.values()}
    assert len(threads) < count, "a pool for each node would have had new threads for each"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_node_with_one_input_loads_it_without_a_thread_of_its_own(tmp_path, executor):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.same, "x", "y", name="copy")])
    run(flow, {"x": 1}, executor=executor, is_async=True, hooks=[nodes.Recorder(log)])
    in_worker = [each for each in nodes.records(log) if "node" in each]
    assert len({each["thread"] for each in in_worker}) == 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_asynchronous_and_synchronous_runs_give_the_same(tmp_path, executor):
    flow = pipeline(
        [
            node(three_times, "x", ["a", "b", "c"], name="split"),
            node(nodes.add, ["a", "b"], "ab", name="add"),
            node(nodes.add, ["ab", "c"], "abc", name="add_again"),
            node(nodes.add, ["x", "x"], "xx", name="twice"),
        ]
    )
    datasets = {"x": 2, "b": nodes.FileDataset(tmp_path / "b")}
    results = [dict(run(flow, datasets, executor=executor, is_async=is_async)) for is_async in (False, True)]
    assert results[0] == results[1] == {"abc": 6, "xx": 4}


def test_no_thread_is_left_after_an_asynchronous_run(tmp_path):
    before = threading.active_count()
    flow = pipeline([node(nodes.add, ["a", "b"], "sum", name="add")])
    for executor in ("sequential", "threads"):
        run(flow, Datasets({"a": 1, "b": 2}), executor=executor, is_async=True)
    assert threading.active_count() == before
