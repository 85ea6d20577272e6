"""Runs that make only the outputs that do not exist."""

from __future__ import annotations

import logging

import pytest

import parallel_nodes as nodes
from kernel import node, pipeline, run

EXECUTORS = ["sequential", "threads", "process_pool"]
FLOW = pipeline(
    [
        node(nodes.same, "x", "p", name="a"),
        node(nodes.same, "p", "q", name="b"),
        node(nodes.same, "q", "r", name="c"),
    ]
)


def files(folder, *names):
    return {name: nodes.FileDataset(folder / name) for name in names}


def ran(datasets, flow=FLOW, executor="sequential"):
    watch = nodes.Watches()
    result = run(flow, datasets, executor=executor, only_missing_outputs=True, hooks=[watch])
    return [name for name, _ in watch.submitted], result


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_exists_is_not_made_again_and_what_is_missing_is(tmp_path, executor):
    datasets = {"x": 1, **files(tmp_path, "p", "q", "r")}
    assert ran(datasets, executor=executor)[0] == ["a", "b", "c"]
    assert ran(datasets, executor=executor)[0] == []
    (tmp_path / "r").unlink()
    assert ran(datasets, executor=executor)[0] == ["c"]
    (tmp_path / "p").unlink()
    assert ran(datasets, executor=executor)[0] == ["a"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_values_in_memory_that_a_missing_output_needs_are_made(tmp_path, executor):
    datasets = {"x": 1, **files(tmp_path, "r")}
    assert ran(datasets, executor=executor)[0] == ["a", "b", "c"]
    assert ran(datasets, executor=executor)[0] == []


def test_with_nothing_to_do_the_result_is_empty_and_the_log_says_so(tmp_path, caplog):
    datasets = {"x": 1, **files(tmp_path, "p", "q", "r")}
    run(FLOW, datasets)
    log = tmp_path / "log"
    with caplog.at_level(logging.INFO, "kernel"):
        result = run(FLOW, datasets, only_missing_outputs=True, hooks=[nodes.Recorder(log)])
    assert dict(result) == {}
    assert "Skipping all 3 nodes (all persistent outputs exist)." in caplog.messages
    assert [each["hook"] for each in nodes.records(log)] == ["before_pipeline_run", "after_pipeline_run"]


def test_the_log_names_what_is_skipped_and_in_detail_why_the_rest_runs(tmp_path, caplog):
    datasets = {"x": 1, **files(tmp_path, "p", "q", "r")}
    run(FLOW, datasets)
    (tmp_path / "r").unlink()
    with caplog.at_level(logging.DEBUG, "kernel"):
        run(FLOW, datasets, only_missing_outputs=True)
    assert "Skipping 2 nodes with existing outputs: a, b." in caplog.messages
    assert "Node 'c' runs: its output 'r' does not exist." in caplog.messages
    assert any(message.startswith("Running 1 nodes") for message in caplog.messages)


def test_existence_alone_counts(tmp_path):
    datasets = {"x": 1, **files(tmp_path, "p", "q", "r")}
    run(FLOW, datasets)
    datasets["x"] = 2
    names, _ = ran(datasets)
    assert names == []
    assert datasets["r"].load() == 1


def test_a_free_output_in_memory_is_made_whatever_exists(tmp_path):
    names, result = ran({"x": 3, **files(tmp_path, "p", "q")})
    assert names == ["a", "b", "c"]
    assert ran({"x": 3, **files(tmp_path, "p", "q")})[0] == ["c"]
    assert result["r"] == 3


def test_two_forms_of_one_dataset_join_their_nodes(tmp_path):
    flow = pipeline([node(nodes.same, "x", "m@save", name="a"), node(nodes.same, "m@load", "r", name="b")])
    datasets = {
        "x": 1,
        "m@save": nodes.FileDataset(tmp_path / "m"),
        "m@load": nodes.FileDataset(tmp_path / "m"),
        "r": nodes.FileDataset(tmp_path / "r"),
    }
    assert ran(datasets, flow)[0] == ["a", "b"]
    (tmp_path / "r").unlink()
    assert ran(datasets, flow)[0] == ["b"]
    (tmp_path / "r").unlink()
    (tmp_path / "m").unlink()
    names, result = ran(datasets, flow)
    assert names == ["a", "b"]
    assert result["r"] == 1


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_dataset_that_caches_another_exists_when_that_does(tmp_path, executor):
    datasets = {"x": 1, **{name: nodes.CachingDataset(each) for name, each in files(tmp_path, *"pqr").items()}}
    assert ran(datasets, executor=executor)[0] == ["a", "b", "c"]
    assert ran(datasets, executor=executor)[0] == []


def test_missing_inputs_of_nodes_that_are_skipped_do_not_matter(tmp_path):
    datasets = {"x": 1, **files(tmp_path, "p", "q", "r")}
    run(FLOW, datasets)
    del datasets["x"]
    assert ran(datasets)[0] == []
