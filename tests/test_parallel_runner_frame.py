"""What stands around the loop of a run: what it takes, tells, logs and gives back."""

from __future__ import annotations

import json
import logging

import pytest

import parallel_nodes as nodes
from kernel import Datasets, MemoryDataset, ParallelRunner, Runner, hookimpl, node, pipeline, run
from kernel.errors import NodeError, ValidationError
from kernel.plugins import load_dataset_type

FLOW = pipeline([node(nodes.same, "x", "y", name="copy"), node(nodes.add, ["y", "x"], "z", name="add")])


def test_listeners_are_told_the_parameters_and_the_name_of_the_run(tmp_path):
    log = tmp_path / "log"
    result = run(FLOW, {"x": 1}, run_id="monday", run_params={"asked": "for this"}, hooks=[nodes.Recorder(log)])
    heard = nodes.records(log)
    assert heard[0]["hook"] == "before_pipeline_run"
    assert (heard[0]["run_id"], heard[0]["asked"]) == ("monday", "for this")
    assert {each["run_id"] for each in heard if each["hook"] == "before_node_run"} == {"monday"}
    assert result.report.run_id == "monday"


def test_a_run_without_a_name_gets_one_from_the_time():
    first, second = (run(FLOW, {"x": 1}).report.run_id for _ in range(2))
    assert first.endswith("Z")
    assert second >= first


def test_what_listeners_add_to_the_datasets_is_there_for_the_run_and_not_after_it():
    class Adds:
        @hookimpl
        def before_pipeline_run(self, catalog):
            catalog["x"] = 20

    datasets = Datasets({})
    assert run(FLOW, datasets, hooks=[Adds()])["z"] == 40
    assert "x" not in datasets


@pytest.mark.parametrize("executor", ["sequential", "threads", "process_pool"])
def test_names_that_match_a_pattern_are_datasets_and_all_others_live_in_memory(tmp_path, executor):
    entries = {"{name}_file": {"type": "json", "filepath": "{name}.json"}}
    datasets = Datasets.from_config(entries, types=load_dataset_type, folder=tmp_path)
    flow = pipeline(
        [
            node(nodes.same, "x", "a_file", name="write"),
            node(nodes.same, "a_file", "memory", name="read"),
            node(nodes.add, ["memory", "a_file"], "sum", name="add"),
        ]
    )
    result = run(flow, datasets.with_values({"x": 2}), executor=executor)
    assert dict(result) == {"sum": 4}
    assert json.loads((tmp_path / "a.json").read_text()) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json"]


def test_missing_inputs_are_told_with_their_readers_and_a_suggestion():
    with pytest.raises(ValidationError) as caught:
        run(FLOW, {"xx": 1})
    assert "'x'" in str(caught.value)
    assert "nodes 'add', 'copy'" in str(caught.value) or "nodes 'copy', 'add'" in str(caught.value)
    assert "did you mean 'xx'?" in str(caught.value)


def test_an_undeclared_name_is_no_input_although_it_could_live_in_memory():
    with pytest.raises(ValidationError, match="neither given nor declared nor made"):
        ParallelRunner(1).run(FLOW, Datasets({}))


def test_a_result_has_every_free_output_declared_or_not_and_loads_it_when_asked(tmp_path):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.same, "x", name, name=f"make_{name}") for name in ("file", "memory", "undeclared")])
    datasets = {"x": 1, "file": nodes.FileDataset(tmp_path / "file", log, "file"), "memory": MemoryDataset()}
    result = ParallelRunner(2).run(flow, datasets)
    assert sorted(result) == ["file", "memory", "undeclared"]
    assert [each["what"] for each in nodes.records(log)] == ["save"]
    assert dict(result) == {"file": 1, "memory": 1, "undeclared": 1}
    assert [each["what"] for each in nodes.records(log)] == ["save", "load"]
    assert result.persistent == ("file",)
    with pytest.raises(KeyError, match="file, memory, undeclared"):
        result["other"]


def test_values_that_are_read_on_the_way_are_no_results():
    assert list(run(FLOW, {"x": 1})) == ["z"]


@pytest.mark.parametrize("executor", ["sequential", "threads", "process_pool"])
def test_each_node_and_the_end_are_logged_in_the_runners_process(caplog, executor):
    with caplog.at_level(logging.INFO, "kernel"):
        run(FLOW, {"x": 1}, executor=executor)
    told = [record.getMessage() for record in caplog.records if record.name == "kernel"]
    assert told[0].startswith("Running 2 nodes on ")
    assert told[1:3] == ["Completed node: copy (1 of 2)", "Completed node: add (2 of 2)"]
    assert told[3].startswith("Pipeline execution completed successfully in ")
    assert len(told) == 4


def test_nodes_that_fail_are_not_logged_as_completed(caplog):
    flow = pipeline([node(nodes.same, "x", "y", name="copy"), node(nodes.boom, "y", "z", name="boom")])
    with caplog.at_level(logging.INFO, "kernel"), pytest.raises(NodeError):
        run(flow, {"x": 1})
    told = [record.getMessage() for record in caplog.records if "Completed node" in record.getMessage()]
    assert told == ["Completed node: copy (1 of 2)"]


@pytest.mark.parametrize("is_async", [False, True])
def test_the_log_says_how_datasets_are_loaded_and_saved(caplog, is_async):
    with caplog.at_level(logging.INFO, "kernel"):
        run(FLOW, {"x": 1}, is_async=is_async)
    (told,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Running")]
    assert told.endswith("asynchronously." if is_async else "loading and saving synchronously.")


def test_a_run_needs_no_listeners_and_no_plugins_that_listen():
    assert Runner(plugins=False).run(FLOW, {"x": 2})["z"] == 4


@pytest.mark.parametrize("executor", ["sequential", "process_pool"])
def test_listeners_to_a_failed_run_hear_its_error_and_no_success(tmp_path, executor):
    log = tmp_path / "log"
    with pytest.raises(NodeError):
        run(
            pipeline([node(nodes.boom, "x", "y", name="boom")]),
            {"x": 1},
            executor=executor,
            hooks=[nodes.Recorder(log)],
        )
    heard = [each["hook"] for each in nodes.records(log)]
    assert heard.count("on_pipeline_error") == 1
    assert "after_pipeline_run" not in heard


def test_listeners_hear_of_a_run_that_is_refused(tmp_path):
    log = tmp_path / "log"
    with pytest.raises(ValidationError):
        run(FLOW, hooks=[nodes.Recorder(log)])
    heard = [(each["hook"], each.get("error")) for each in nodes.records(log)]
    assert heard == [("before_pipeline_run", None), ("on_pipeline_error", "ValidationError")]
