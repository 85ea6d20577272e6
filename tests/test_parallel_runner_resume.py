"""After a failure: which nodes to start from again, and that a run from there really completes."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import parallel_nodes as nodes
from kernel import MemoryDataset, Pipeline, node, pipeline, run
from kernel.errors import NodeError

EXECUTORS = ["sequential", "threads", "process_pool"]


def failure_of(flow, datasets, executor="sequential", **options):
    with pytest.raises(NodeError) as caught:
        run(flow, datasets, executor=executor, **options)
    return caught.value


def test_when_no_node_is_done_there_is_nothing_to_go_on_from(caplog):
    flow = pipeline([node(nodes.boom, "x", "y", name="bad"), node(nodes.same, "y", "z", name="next")])
    with caplog.at_level(logging.INFO, "kernel"):
        error = failure_of(flow, {"x": 1})
    assert error.resume == ()
    assert "No nodes ran. Repeat the previous command to attempt a new run." in caplog.messages


def test_the_log_has_the_argument_with_the_names_in_order(caplog, tmp_path):
    flow = pipeline(
        [
            node(nodes.same, "x", "kept", name="a_good"),
            node(nodes.boom, "kept", "y", name="z_bad"),
            node(nodes.same, "kept", "z", name="zz_never"),
        ]
    )
    with caplog.at_level(logging.INFO, "kernel"):
        error = failure_of(flow, {"x": 1, "kept": nodes.FileDataset(tmp_path / "kept")})
    assert error.resume == ("z_bad", "zz_never")
    assert "2 nodes have not run. To go on from here: --from-nodes 'z_bad,zz_never'" in caplog.messages


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("kept", ["file", "undeclared", "memory"])
def test_a_value_in_memory_has_to_be_made_again_and_a_saved_one_has_not(tmp_path, executor, kept):
    flow = pipeline([node(nodes.same, "x", "y", name="make"), node(nodes.boom, "y", "z", name="bad")])
    declared = {"file": nodes.FileDataset(tmp_path / "y"), "memory": MemoryDataset()}.get(kept)
    error = failure_of(flow, {"x": 1, **({"y": declared} if declared is not None else {})}, executor)
    assert error.resume == (("bad",) if kept == "file" else ("make",))


def test_parameters_do_not_lead_further_back(tmp_path):
    flow = pipeline(
        [
            node(nodes.add, ["x", "parameters"], "kept", name="make"),
            node(nodes.boom, ["kept", "params:deep.value", "parameters"], "z", name="bad"),
        ]
    )
    datasets = {"x": 1, "parameters": 2, "params:deep.value": 3, "kept": nodes.FileDataset(tmp_path / "kept")}
    assert failure_of(flow, datasets).resume == ("bad",)


def test_a_saved_value_between_stops_the_way_back_on_its_branch_only(tmp_path):
    flow = pipeline(
        [
            node(nodes.same, "x", "in_memory", name="a"),
            node(nodes.same, "in_memory", "kept", name="b"),
            node(nodes.same, "x", "also_in_memory", name="c"),
            node(nodes.boom, ["kept", "also_in_memory"], "z", name="d_bad"),
        ]
    )
    error = failure_of(flow, {"x": 1, "kept": nodes.FileDataset(tmp_path / "kept")})
    assert error.resume == ("c",)


def test_nodes_that_ended_after_the_failure_count_as_done(tmp_path):
    flow = pipeline(
        [
            node(nodes.same, "x", "first", name="a_good"),
            node(nodes.boom, "x", "y", name="b_bad"),
            *(node(nodes.same, "x", f"late_{n}", name=f"c_late_{n}") for n in range(3)),
        ]
    )
    files = {name: nodes.FileDataset(tmp_path / name) for name in ("first", "late_0", "late_1", "late_2")}
    error = failure_of(flow, {"x": 1, **files}, "process_pool", workers=1, on_failure="drain")
    assert error.resume == ("b_bad",)


def test_a_worker_that_died_leaves_a_suggestion_as_well(tmp_path):
    flow = pipeline([node(nodes.same, "x", "y", name="make"), node(nodes.die, "y", "z", name="deadly")])
    error = failure_of(flow, {"x": 1, "y": nodes.FileDataset(tmp_path / "y")}, "process_pool", death_retries=0)
    assert error.resume == ("deadly",)


def test_going_on_from_the_suggestion_runs_only_what_is_needed(tmp_path):
    fails = tmp_path / "fails"
    fails.touch()
    flow = pipeline(
        [
            node(nodes.same, "x", "kept", name="make"),
            node(fails_while_there, ["fails", "kept"], "y", name="bad_once"),
            node(nodes.add, ["y", "kept"], "sum", name="add"),
        ]
    )
    datasets = {"x": 5, "fails": str(fails), "kept": nodes.FileDataset(tmp_path / "kept")}
    error = failure_of(flow, datasets, "process_pool")
    fails.unlink()
    del datasets["x"]
    watch = nodes.Watches()
    result = run(flow.from_nodes(*error.resume), datasets, executor="process_pool", hooks=[watch])
    assert result["sum"] == 10
    assert sorted(name for name, _ in watch.submitted) == ["add", "bad_once"]


def fails_while_there(path, value):
    if Path(path).exists():
        raise ValueError("still there")
    return value


def total(*values):
    return sum(values) + 1


def total_unless(fails, *values):
    if Path(fails).exists():
        raise ValueError("told to")
    return sum(values) + 1


@st.composite
def runs(draw):
    """Draw a pipeline, which of its nodes fail, which of its datasets are saved, and the policy."""
    count = draw(st.integers(1, 9))
    failing = draw(st.sets(st.integers(0, count - 1), min_size=1, max_size=3))
    saved = draw(st.sets(st.integers(0, count - 1)))
    made = []
    for number in range(count):
        above = draw(st.sets(st.integers(-1, number - 1), max_size=3))
        inputs = ["x" if each < 0 else f"d{each}" for each in sorted(above)] or ["x"]
        if number in failing:
            made.append(node(total_unless, ["params:fails", *inputs], f"d{number}", name=f"n{number}"))
        else:
            made.append(node(total, inputs, f"d{number}", name=f"n{number}"))
    return Pipeline(made), saved, draw(st.sampled_from(["stop", "drain", "continue"]))


@given(runs())
@settings(deadline=None, max_examples=150)
def test_a_run_from_the_suggestion_completes_and_makes_every_output_that_was_missing(case):
    flow, saved, policy = case
    with tempfile.TemporaryDirectory() as folder:
        fails = Path(folder, "fails")
        fails.touch()
        files = {f"d{number}": nodes.FileDataset(Path(folder, f"d{number}")) for number in saved}
        files = {name: each for name, each in files.items() if name in flow.plan.made}
        datasets = {"x": 1, "params:fails": str(fails), **files}
        watch = nodes.Watches()
        error = failure_of(flow, datasets, on_failure=policy, hooks=[watch])
        done = {name for name, report, _ in watch.done if report.state.name == "DONE"}
        fails.unlink()
        again = nodes.Watches()
        rest = flow.from_nodes(*error.resume) if error.resume else flow
        result = run(rest, datasets, hooks=[again])
        ran = {name for name, _ in again.submitted}
        assert ran | done == {each.name for each in flow.nodes}, "what was not done runs now"
        assert bool(error.resume) == bool(done)
        expected = dict(run(flow, datasets))
        assert {name: result[name] for name in result} == {name: expected[name] for name in result}
        for name in files:
            assert files[name].exists()
