"""Faults that are known of other parallel runners and must not come back here; the rest lie with their subject."""

from __future__ import annotations

import os
import pickle

import pytest

import parallel_nodes as nodes
from kernel import Datasets, ParallelRunner, hookimpl, node, note, pipeline, run
from kernel.errors import NodeError
from kernel_process_pool.wire import Kind
from kernel_process_pool.workers import WorkerLink
from watching import shared_memory, wait_until

METHODS = [
    "spawn",
    "forkserver",
    pytest.param("fork", marks=pytest.mark.timeout(120, method="signal")),
]


class BuiltOnce:
    """Tells whenever it is made in a worker; holds what it has counted."""

    def __init__(self, path):
        self.path, self.count = str(path), 0

    def __setstate__(self, state):
        self.__dict__.update(state)
        nodes.append(self.path, pid=os.getpid())

    @hookimpl
    def before_node_run(self):
        self.count += 1
        note("count", self.count)


def test_listeners_are_built_once_in_a_worker_and_not_for_each_node(tmp_path):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.same, "x", f"y_{n}", name=f"n_{n}") for n in range(50)])
    result = ParallelRunner(1, hooks=[BuiltOnce(log)]).run(flow, {"x": 1})
    in_workers = [each for each in nodes.records(log) if each["pid"] != os.getpid()]
    assert len(in_workers) == 1
    assert max(each.notes["count"] for each in result.report.tasks) == 50


@pytest.mark.parametrize("method", METHODS)
def test_a_run_is_told_once_to_listeners_however_many_workers_it_has(tmp_path, method):
    log = tmp_path / "log"
    meeting = [
        node(nodes.touch_then, ["one", "two"], "a", name="meet_1"),
        node(nodes.touch_then, ["two", "one"], "b", name="meet_2"),
    ]
    values = {"one": str(tmp_path / "1"), "two": str(tmp_path / "2")}
    ParallelRunner(2, start_method=method, hooks=[nodes.Recorder(log)]).run(pipeline(meeting), values)
    heard = [(each["hook"], each["pid"] == os.getpid()) for each in nodes.records(log) if "pipeline" in each["hook"]]
    assert heard == [("before_pipeline_run", True), ("after_pipeline_run", True)]
    started = {each["pid"] for each in nodes.records(log) if each["hook"] == "after_worker_start"}
    assert len(started) == 2
    assert os.getpid() not in started


@pytest.mark.parametrize("method", METHODS)
def test_a_dataset_that_cannot_be_pickled_is_rebuilt_in_the_worker_from_its_entry(tmp_path, method):
    entries = {"client": {"type": "locked", "path": str(tmp_path / "file")}}
    datasets = Datasets.from_config(entries, types=lambda _: nodes.LockedDataset)
    with pytest.raises(TypeError, match="pickle"):
        pickle.dumps(datasets["client"])
    flow = pipeline([node(nodes.same, "x", "client", name="write"), node(nodes.same, "client", "y", name="read")])
    runner = ParallelRunner(2, start_method=method)
    assert runner.run(flow, datasets.with_values({"x": 5}))["y"] == 5


@pytest.mark.parametrize("method", METHODS)
def test_a_dataset_that_caches_another_works_on_processes(tmp_path, method):
    cached = nodes.CachingDataset(nodes.FileDataset(tmp_path / "file"))
    flow = pipeline([node(nodes.same, "x", "cached", name="write"), node(nodes.same, "cached", "y", name="read")])
    assert ParallelRunner(2, start_method=method).run(flow, {"x": 5, "cached": cached})["y"] == 5


def test_what_is_sent_for_a_node_does_not_grow_with_the_pipeline_or_its_datasets(monkeypatch, tmp_path):
    sizes = []
    send = WorkerLink.send

    def spy(self, kind, body):
        if kind == Kind.TASKS:
            sizes.append(len(body))
        send(self, kind, body)

    monkeypatch.setattr(WorkerLink, "send", spy)
    largest = []
    for count in (2, 200):
        files = {f"file_{n}": nodes.FileDataset(tmp_path / str(n)) for n in range(count)}
        flow = pipeline(
            [
                *(node(nodes.same, "x", f"file_{n}", name=f"a_write_{n}") for n in range(count)),
                node(nodes.same, "x", "y", name="b_make"),
                node(nodes.same, "y", "z", name="c_read"),
            ]
        )
        sizes.clear()
        ParallelRunner(1).run(flow, {"x": 1, **files})
        largest.append(max(sizes) / count)
    assert largest[1] <= largest[0]
    assert sum(sizes) < 100 * (count + 2)


@pytest.mark.parametrize("method", METHODS)
def test_no_dataset_of_one_node_is_built_for_another(tmp_path, method):
    """Count how many processes build a dataset that one node uses: one, and the runner's where it has to look."""
    log = tmp_path / "log"
    entries = {"used": {"type": "t", "path": str(tmp_path / "used"), "log": str(log)}}
    datasets = Datasets.from_config(entries, types=lambda _: TellsWhenBuilt)
    meeting = [
        node(nodes.touch_then, ["one", "two"], "a", name="meet_1"),
        node(nodes.touch_then, ["two", "one"], "b", name="meet_2"),
        node(nodes.same, "a", "used", name="write"),
    ]
    values = {"one": str(tmp_path / "1"), "two": str(tmp_path / "2")}
    ParallelRunner(2, start_method=method).run(pipeline(meeting), datasets.with_values(values))
    built = [each["pid"] for each in nodes.records(log) if each["pid"] != os.getpid()]
    assert len(built) == 1


class TellsWhenBuilt(nodes.FileDataset):
    def __init__(self, path, log):
        super().__init__(path)
        nodes.append(log, pid=os.getpid())


@pytest.mark.parametrize("method", METHODS)
def test_an_exception_that_cannot_be_rebuilt_does_not_end_the_worker(method):
    flow = pipeline(
        [
            node(nodes.raise_needs_two, "x", "a", name="a_bad"),
            node(nodes.raise_lock, "x", "b", name="b_bad"),
            node(nodes.pid, "x", "pid", name="c_good"),
        ]
    )
    watch = nodes.Watches()
    with pytest.raises(NodeError) as caught:
        ParallelRunner(1, start_method=method, on_failure="continue", hooks=[watch]).run(flow, {"x": 1})
    assert watch.lost == []
    assert [caught.value.error_type, caught.value.others[0].error_type] == [
        "parallel_nodes.NeedsTwo",
        "parallel_nodes.HoldsALock",
    ]
    assert [name for name, report, _ in watch.done if report.state.name == "DONE"] == ["c_good"]


def test_what_a_node_has_printed_and_left_in_files_is_there_when_its_worker_is_ended(tmp_path, capfd):
    flow = pipeline([node(says, "x", "y", name="say")])
    run(flow, {"x": "hello from a worker"}, executor="process_pool")
    assert "hello from a worker" in capfd.readouterr().out


def says(text):
    print(text)
    return text


def test_nothing_of_a_run_is_left_in_the_folder_for_temporary_files(tmp_path, monkeypatch):
    before = shared_memory()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    flow = pipeline([node(large, "x", "y", name="make"), node(nodes.die, "y", "z", name="deadly")])
    with pytest.raises(NodeError):
        run(flow, {"x": 1}, executor="process_pool")
    assert list(tmp_path.iterdir()) == []
    wait_until(lambda: not shared_memory() - before, "shared memory to be free of what the run had")


def large(x):
    return bytearray(4 << 20)
