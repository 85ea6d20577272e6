"""Nodes whose function is a generator: each chunk is saved as it comes."""

from __future__ import annotations

import pytest

import parallel_nodes as nodes
from kernel import node, pipeline, run
from kernel.errors import NodeError

EXECUTORS = ["sequential", "threads", "process_pool"]
every_executor = pytest.mark.parametrize("executor", EXECUTORS)


def failure_of(flow, datasets, executor, **options):
    with pytest.raises(NodeError) as caught:
        run(flow, datasets, executor=executor, **options)
    return caught.value


def told(log, *hooks):
    return [
        (each["hook"], each.get("dataset"), each.get("data")) for each in nodes.records(log) if each["hook"] in hooks
    ]


@every_executor
def test_a_value_in_memory_is_the_last_chunk_and_an_appending_dataset_has_all(tmp_path, executor):
    flow = pipeline(
        [
            node(nodes.chunks_of, "count", "memory", name="to_memory"),
            node(nodes.chunks_of, "count", "file", name="to_file"),
            node(nodes.same, "memory", "read", name="read"),
        ]
    )
    result = run(flow, {"count": 4, "file": nodes.AppendingDataset(tmp_path / "file")}, executor=executor)
    assert dict(result) == {"read": 4, "file": [1, 2, 3, 4]}


@every_executor
def test_large_chunks_in_memory_are_superseded(executor):
    flow = pipeline([node(large_chunks, "count", "array", name="make"), node(last_of, "array", "last", name="read")])
    assert run(flow, {"count": 5}, executor=executor)["last"] == 5.0


def large_chunks(count):
    import numpy as np

    for number in range(1, count + 1):
        yield np.full(64 * 1024, float(number))


def last_of(array):
    return float(array[-1])


@every_executor
def test_saves_are_heard_chunk_by_chunk_in_the_order_of_outputs(tmp_path, executor):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.pairs_of, "count", ["b", "c"], name="pairs")])
    result = run(flow, {"count": 2}, executor=executor, hooks=[nodes.Recorder(log)])
    saves = told(log, "before_dataset_saved", "after_dataset_saved")
    assert [(dataset, data) for _, dataset, data in saves] == [
        ("b", "1"),
        ("b", "1"),
        ("c", "-1"),
        ("c", "-1"),
        ("b", "2"),
        ("b", "2"),
        ("c", "-2"),
        ("c", "-2"),
    ]
    assert dict(result) == {"b": 2, "c": -2}


@every_executor
def test_outputs_by_key_take_a_dict_for_each_chunk(executor):
    flow = pipeline([node(nodes.keyed_of, "count", {"up": "plus", "down": "minus"}, name="keyed")])
    assert dict(run(flow, {"count": 3}, executor=executor)) == {"plus": 3, "minus": -3}


@every_executor
def test_a_function_that_returns_an_iterable_is_an_ordinary_node(executor):
    flow = pipeline([node(nodes.returns_an_iterator, "count", "all", name="list")])
    assert run(flow, {"count": 3}, executor=executor)["all"] == [0, 1, 2]


def test_an_iterator_that_a_function_returns_is_handed_on_as_it_is():
    flow = pipeline([node(iter, "values", "iterator", name="iter"), node(list, "iterator", "list", name="list")])
    assert run(flow, {"values": [1, 2]})["list"] == [1, 2]


@every_executor
def test_every_chunk_is_checked_against_the_outputs(executor):
    error = failure_of(pipeline([node(nodes.uneven, "count", ["a", "b"], name="uneven")]), {"count": 1}, executor)
    assert error.node == "uneven"
    for part in ("declares 2 outputs", "a tuple of 3"):
        assert part in str(error)


@every_executor
@pytest.mark.parametrize("outputs", ["a", ["a", "b"]])
def test_a_generator_that_yields_nothing_is_an_error_that_says_so(executor, outputs):
    function = nodes.chunks_of if outputs == "a" else nodes.pairs_of
    error = failure_of(pipeline([node(function, "count", outputs, name="empty")]), {"count": 0}, executor)
    assert "node 'empty' is a generator that yielded nothing" in str(error)


def does_nothing(count):
    for _ in range(count):
        yield None


@every_executor
@pytest.mark.parametrize("count", [0, 3])
def test_a_generator_without_outputs_may_yield_nothing(executor, count):
    result = run(pipeline([node(does_nothing, "count", None, name="quiet")]), {"count": count}, executor=executor)
    assert dict(result) == {}


@every_executor
def test_an_error_of_the_body_after_the_first_chunk_is_told_as_any_error_of_a_node(tmp_path, executor):
    log = tmp_path / "log"
    flow = pipeline(
        [node(nodes.breaks_after, "count", "file", name="breaks"), node(nodes.same, "file", "z", name="next")]
    )
    files = {"file": nodes.AppendingDataset(tmp_path / "file")}
    error = failure_of(flow, {"count": 2, **files}, executor, hooks=[nodes.Recorder(log)])
    assert error.node == "breaks"
    assert str(error.cause) == "the body broke"
    heard = [each["hook"] for each in nodes.records(log) if each.get("node") == "breaks"]
    assert heard.count("on_node_error") == 1
    assert heard.count("after_node_run") == 1
    assert heard.index("after_node_run") < heard.index("before_dataset_saved") < heard.index("on_node_error")
    assert files["file"].load() == [1, 2], "what was saved before the error stays"


@every_executor
def test_a_value_in_memory_of_a_generator_that_failed_is_gone(executor):
    flow = pipeline([node(nodes.breaks_after, "count", "memory", name="breaks"), node(nodes.same, "x", "y", name="ok")])
    error = failure_of(flow, {"count": 2, "x": 1}, executor, on_failure="continue")
    assert (error.node, error.others) == ("breaks", ())


@every_executor
def test_a_save_that_fails_is_not_told_as_an_error_of_the_body(tmp_path, executor):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.chunks_of, "count", "out", name="chunks")])
    error = failure_of(flow, {"count": 2, "out": nodes.Broken("save")}, executor, hooks=[nodes.Recorder(log)])
    assert "out:" in str(error)
    assert "on_node_error" not in [each["hook"] for each in nodes.records(log)]


@every_executor
def test_a_repeat_of_a_generator_starts_from_the_first_chunk(tmp_path, executor):
    flow = pipeline([node(breaks_once, ["path", "count"], "memory", name="breaks_once", retries=1)])
    result = run(flow, {"path": str(tmp_path / "broke"), "count": 3}, executor=executor)
    assert result["memory"] == [1, 2, 3]


def breaks_once(path, count):
    from pathlib import Path

    seen = []
    for number in range(1, count + 1):
        seen.append(number)
        yield list(seen)
        if number == 2 and not Path(path).exists():
            Path(path).touch()
            raise ValueError("once")
