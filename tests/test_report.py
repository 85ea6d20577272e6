"""What a run tells of itself: a report for each turn, and the totals."""

from __future__ import annotations

import pytest

import parallel_nodes as nodes
from kernel import node, pipeline, run
from kernel.errors import NodeError
from kernel.report import RunReport
from kernel.specs.events import Failure, Outcomes, State

EXECUTORS = ["sequential", "threads", "process_pool"]


def row(index, *, start=0.0, size=0, failure=None, attempt=1, notes=None):
    return (index, (), start, start + 1, start + 3, start + 6, size, failure, attempt, notes, None)


def test_reports_are_built_from_the_batches_in_the_order_they_came_in():
    report = RunReport(["a", "b", "c"], "run")
    report.add(Outcomes.of_rows(1, [row(2, size=10, notes={"k": 1}), row(0, start=5.0)]))
    report.add(Outcomes.of_rows(0, [row(1, failure=Failure("run", "ValueError", "boom"), attempt=2)]))
    report.add(Outcomes.without_result(1, [0, 2], State.CANCELLED))
    first, second, third = report.tasks
    assert [each.node for each in report.tasks] == ["c", "a", "b"]
    assert (first.worker, first.bytes, first.notes) == (1, 10, {"k": 1})
    assert (first.load_s, first.run_s, first.save_s) == (1.0, 2.0, 3.0)
    assert (second.start, second.state, second.attempt) == (5.0, State.DONE, 1)
    assert (third.state, third.attempt, third.worker) == (State.FAILED, 2, 0)
    assert report.work_s == 18.0
    assert report.bytes == 10
    assert [report.count(state) for state in (State.DONE, State.FAILED, State.CANCELLED, State.LOST)] == [2, 1, 2, 0]


def test_the_reports_of_many_small_batches_are_what_was_told_in_the_order_it_was():
    count = 20_000
    report = RunReport([f"n{index}" for index in range(count)])
    for index in range(count):
        report.add(Outcomes.of_rows(index % 2, [row(index, start=float(index), attempt=1 + (index == count - 2))]))
    assert [each.node for each in report.tasks] == report.names
    assert [each.worker for each in report.tasks[:3]] == [0, 1, 0]
    assert [each.start for each in report.tasks[-2:]] == [count - 2, count - 1]
    assert [each.attempt for each in report.tasks[-3:]] == [1, 2, 1]
    assert report.count(State.DONE) == count
    assert report.work_s == 6.0 * count


def test_a_report_keeps_no_values_alive():
    report = RunReport(["a"])
    batch = Outcomes.of_rows(0, [(0, (object(),), *row(0)[2:])])
    report.add(batch)
    assert batch.handles == ()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_run_tells_who_ran_what_and_when(executor):
    flow = pipeline([node(nodes.same, "x", "y", name="first"), node(nodes.same, "y", "z", name="second")])
    report = run(flow, {"x": 1}, executor=executor).report
    first, second = report.tasks
    assert [first.node, second.node] == ["first", "second"]
    assert first.start <= first.loaded <= first.ran <= first.end <= second.start
    assert report.workers == 1
    assert report.work_s <= report.wall_s
    assert report.count(State.DONE) == 2
    assert report.skipped == {}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_repeats_are_told_by_their_attempt(tmp_path, executor):
    watch = nodes.Watches()
    flow = pipeline([node(nodes.boom, "x", "y", name="bad", retries=2)])
    with pytest.raises(NodeError):
        run(flow, {"x": 1}, executor=executor, hooks=[watch])
    ((name, report, error),) = watch.done
    assert (name, report.attempt, report.state) == ("bad", 3, State.FAILED)
    assert isinstance(error, NodeError)


def test_large_values_count_as_bytes_and_small_ones_do_not():
    flow = pipeline([node(large, "x", "y", name="large"), node(nodes.same, "x", "z", name="small")])
    report = run(flow, {"x": 1 << 20}, executor="process_pool").report
    sizes = {each.node: each.bytes for each in report.tasks}
    assert sizes["large"] >= 1 << 20
    assert sizes["small"] == 0
    assert report.bytes == sizes["large"]


def large(size):
    import numpy as np

    return np.zeros(size, dtype="u1")


def test_skipped_nodes_are_named_with_the_node_that_failed_before_them():
    def fail(_):
        raise ValueError("on purpose")

    flow = pipeline(
        [
            node(fail, "start", "a", name="bad"),
            node(fail, "start", "x", name="worse"),
            node(len, "a", "b", name="after"),
            node(lambda *values: values, ["b", "x"], "c", name="later"),
            node(str, "start", "d", name="good"),
        ]
    )
    with pytest.raises(NodeError) as caught:
        run(flow, {"start": 1}, on_failure="continue")
    assert set(caught.value.skipped) == {"after", "later"}
    assert caught.value.skipped["after"] == "bad"
    assert caught.value.skipped["later"] in {"bad", "worse"}
