"""Datasets that are confirmed once what was read from them has been dealt with."""

from __future__ import annotations

import json
import os

import pytest

import parallel_nodes as nodes
from kernel import MemoryDataset, node, pipeline, run
from kernel.errors import DatasetError, NodeError, PipelineError, ValidationError

EXECUTORS = ["sequential", "threads", "process_pool"]
FLOW = pipeline(
    [
        node(nodes.same, "events", "new", name="read"),
        node(nodes.same, "new", "out", name="keep", confirms="events"),
    ]
)


@pytest.fixture
def events(tmp_path):
    (tmp_path / "data").write_text("[1, 2, 3]")
    return nodes.Incremental(tmp_path, tmp_path / "log")


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_node_that_reads_may_confirm_and_the_next_run_sees_only_what_is_new(tmp_path, events, executor):
    flow = pipeline([node(nodes.same, "events", "new", name="read", confirms="events")])
    assert run(flow, {"events": events}, executor=executor)["new"] == [1, 2, 3]
    assert run(flow, {"events": events}, executor=executor)["new"] == []
    events.save([1, 2, 3, 4])
    assert run(flow, {"events": events}, executor=executor)["new"] == [4]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_it_is_done_in_the_runners_process_after_the_nodes_saves(tmp_path, events, executor):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.same, "events", "new", name="read", confirms="events")])
    run(flow, {"events": events}, executor=executor, hooks=[nodes.Recorder(log)])
    told = [(each["hook"], each["pid"]) for each in nodes.records(log)]
    hooks = [hook for hook, _ in told]
    assert hooks.index("after_dataset_saved") < hooks.index("confirm")
    assert dict(told)["confirm"] == os.getpid()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_nothing_is_confirmed_when_the_node_or_one_before_it_fails(tmp_path, events, executor):
    flow = pipeline([node(nodes.boom, "events", "new", name="read", confirms="events")])
    with pytest.raises(NodeError):
        run(flow, {"events": events}, executor=executor)
    assert not (tmp_path / "checkpoint").exists()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_confirm_that_fails_fails_its_node_and_is_not_told_as_its_functions_error(tmp_path, executor):
    (tmp_path / "data").write_text("[1]")
    log = tmp_path / "log"
    flow = pipeline(
        [
            node(nodes.same, "events", "new", name="read", confirms="events"),
            node(nodes.same, "new", "out", name="next"),
        ]
    )
    watch = nodes.Watches()
    with pytest.raises(NodeError) as caught:
        run(
            flow,
            {"events": nodes.Incremental(tmp_path, breaks=True)},
            executor=executor,
            hooks=[nodes.Recorder(log), watch],
        )
    assert caught.value.node == "read"
    assert isinstance(caught.value.cause, DatasetError)
    assert str(caught.value.cause).startswith("events: ")
    assert "on_node_error" not in [each["hook"] for each in nodes.records(log)]
    assert [name for name, _ in watch.submitted] == ["read"]


@pytest.mark.parametrize("datasets", [{"events": 1}, {"events": MemoryDataset([1])}])
def test_a_value_in_memory_has_no_checkpoint_and_is_refused_before_the_run(datasets):
    with pytest.raises(ValidationError, match=r"'keep' confirms 'events'.*persistent"):
        run(FLOW, datasets)


def test_a_dataset_that_keeps_no_checkpoint_is_refused_before_the_run(tmp_path):
    events = nodes.FileDataset(tmp_path / "events")
    events.save([1])
    with pytest.raises(ValidationError, match="'keep' confirms 'events', but a FileDataset keeps no checkpoint"):
        run(FLOW, {"events": events})


def test_one_dataset_confirmed_by_two_nodes_is_no_pipeline():
    with pytest.raises(PipelineError, match="events"):
        pipeline(
            [
                node(nodes.same, "events", "a", name="one", confirms="events"),
                node(nodes.same, "events", "b", name="two", confirms="events"),
            ]
        )


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_node_may_confirm_what_an_earlier_one_has_read(tmp_path, events, executor):
    result = run(FLOW, {"events": events}, executor=executor, workers=1)
    assert result["out"] == [1, 2, 3]
    assert json.loads((tmp_path / "checkpoint").read_text()) == 3
