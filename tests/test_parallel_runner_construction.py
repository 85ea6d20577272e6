"""Making a parallel runner: what its parameters may be, when processes start and when they end."""

from __future__ import annotations

import pytest

import parallel_nodes as nodes
from kernel import ParallelRunner, Pipeline, node, pipeline
from kernel.errors import ConfigError, KernelError, NodeError, SchedulingError, ValidationError


def two_that_meet(folder):
    """Two nodes, each of which ends only when the other one has started; both give their process."""
    first, second = str(folder / "first"), str(folder / "second")
    flow = pipeline(
        [
            node(nodes.touch_then, ["first", "second"], "a", name="a"),
            node(nodes.touch_then, ["second", "first"], "b", name="b"),
        ]
    )
    return flow, {"first": first, "second": second}


def test_nodes_run_on_worker_processes_at_the_same_time(tmp_path):
    flow, values = two_that_meet(tmp_path)
    result = ParallelRunner(max_workers=2).run(flow, values)
    import os

    assert len({result["a"], result["b"], os.getpid()}) == 3


@pytest.mark.parametrize(
    ("option", "value", "told"),
    [
        ("on_failure", "sometimes", "stop, drain, continue"),
        ("death_retries", -1, "positive integer"),
        ("death_retries", "2", "positive integer"),
        ("grace_s", -1, "seconds"),
        ("grace_s", "5", "seconds"),
        ("grace_s", None, "seconds"),
        ("grace_s", float("nan"), "seconds"),
    ],
)
def test_what_is_to_be_done_about_trouble_is_checked_at_once(option, value, told):
    with pytest.raises(ConfigError, match=rf"{option} should be .*{told}.*, got {value!r}$"):
        ParallelRunner(2, **{option: value})


@pytest.mark.parametrize("workers", [0, -1, "2", 1.5, True, False, [2]])
def test_anything_but_a_positive_integer_is_refused_at_once_and_shown(workers):
    with pytest.raises(ValueError, match="positive integer") as caught:
        ParallelRunner(max_workers=workers)
    assert repr(workers) in str(caught.value)
    assert isinstance(caught.value, ConfigError)
    assert nodes.children() == []


def test_the_parameters_may_be_given_by_position():
    runner = ParallelRunner(3, True)
    assert (runner.workers, runner.is_async) == (3, True)


def test_no_process_is_there_before_the_first_run_and_none_after_the_last(tmp_path):
    with ParallelRunner(2) as runner:
        assert nodes.children() == []
        flow, values = two_that_meet(tmp_path)
        runner.run(flow, values)
        assert nodes.children() != []
    assert nodes.children() == []


def test_a_runner_that_is_no_context_manager_leaves_no_process_after_a_run(tmp_path):
    flow, values = two_that_meet(tmp_path)
    ParallelRunner(2).run(flow, values)
    assert nodes.children() == []


def test_one_runner_serves_several_runs_with_the_same_workers_and_fresh_values():
    flow = pipeline([node(nodes.same, "x", "y", name="copy"), node(nodes.pid, "y", "pid", name="pid")])
    other = pipeline([node(nodes.pid, "z", "pid", name="other")])
    with ParallelRunner(1) as runner:
        first, second = runner.run(flow, {"x": 1}), runner.run(other, {"z": [2]})
        assert first["pid"] == second["pid"]
        third = runner.run(flow.only_nodes("copy"), {"x": 3})
    assert third["y"] == 3


def test_a_runner_can_be_used_again_after_it_was_closed():
    runner = ParallelRunner(1)
    flow = pipeline([node(nodes.same, "x", "y", name="copy")])
    assert [runner.run(flow, {"x": x})["y"] for x in (1, 2)] == [1, 2]


def test_an_empty_pipeline_starts_no_worker_and_gives_nothing(tmp_path):
    log = tmp_path / "log"
    with ParallelRunner(2, hooks=[nodes.Recorder(log)]) as runner:
        result = runner.run(Pipeline([]))
        assert nodes.children() == []
    assert dict(result) == {}
    assert [each["hook"] for each in nodes.records(log)] == ["before_pipeline_run", "after_pipeline_run"]


def test_what_a_run_raises_is_told_apart_by_class():
    assert issubclass(ValidationError, ValueError)
    assert issubclass(SchedulingError, RuntimeError)
    for kind in (ValidationError, SchedulingError, NodeError):
        assert issubclass(kind, KernelError)


def test_an_error_at_the_start_leaves_a_warm_runner_usable():
    with ParallelRunner(1) as runner:
        with pytest.raises(ValidationError):
            runner.run(pipeline([node(nodes.same, "missing", "y", name="copy")]))
        assert runner.run(pipeline([node(nodes.same, "x", "y", name="copy")]), {"x": 5})["y"] == 5
