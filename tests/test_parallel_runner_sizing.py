"""How many workers a run gets, as the runner and its report tell."""

from __future__ import annotations

import logging

import pytest

import kernel.sizing
import parallel_nodes as nodes
from kernel import ParallelRunner, hookimpl, node, pipeline, run

FAN = pipeline(
    [
        node(nodes.same, "x", "start", name="fan_out"),
        *(node(nodes.same, "start", f"part_{n}", name=f"part_{n}") for n in range(3)),
        node(nodes.nothing, [f"part_{n}" for n in range(3)], None, name="fan_in"),
    ]
)


class Says:
    """Answers how many workers a run can use."""

    def __init__(self, answer):
        self.answer, self.heard = answer, []

    @hookimpl
    def required_workers(self, pipeline, asked):
        self.heard.append((len(pipeline.nodes), asked))
        return self.answer


@pytest.mark.parametrize(("cpus", "asked", "workers"), [(4, 6, 3), (4, None, 3), (2, None, 2), (1, 2, 2)])
def test_a_run_gets_what_the_graph_can_use_up_to_what_was_asked_for_or_the_cpus(monkeypatch, cpus, asked, workers):
    monkeypatch.setattr(kernel.sizing, "usable_cpus", lambda: cpus)
    assert run(FAN, {"x": 1}, executor="threads", workers=asked).report.workers == workers


def test_processes_are_made_when_there_is_work_for_them_and_not_before():
    chain = pipeline([node(nodes.pid, "x", "a", name="a"), node(nodes.same, "a", "b", name="b")])
    with ParallelRunner(8) as runner:
        result = runner.run(chain, {"x": 1})
        assert result.report.workers == 1
        (server,) = nodes.children()
        assert len(nodes.children(server)) == 1


def test_a_listener_may_say_how_many_workers_a_run_can_use(monkeypatch):
    monkeypatch.setattr(kernel.sizing, "usable_cpus", lambda: 4)
    says = Says(2)
    assert run(FAN, {"x": 1}, executor="threads", hooks=[says]).report.workers == 2
    assert says.heard == [(5, None)]


def test_a_listener_that_says_nothing_leaves_it_to_the_rule(monkeypatch):
    monkeypatch.setattr(kernel.sizing, "usable_cpus", lambda: 4)
    assert run(FAN, {"x": 1}, executor="threads", hooks=[Says(None)]).report.workers == 3


def test_the_first_listener_that_answers_decides(monkeypatch):
    monkeypatch.setattr(kernel.sizing, "usable_cpus", lambda: 4)
    # pluggy asks the listener that was registered last first.
    hooks = [Says(3), Says(1), Says(None)]
    assert run(FAN, {"x": 1}, executor="threads", hooks=hooks).report.workers == 1
    assert [says.heard for says in hooks] == [[], [(5, None)], [(5, None)]]


def test_the_log_says_how_many_workers_there_are_and_what_was_counted(caplog, monkeypatch):
    monkeypatch.setattr("kernel.sizing.usable_cpus", lambda: 2)
    monkeypatch.setattr("kernel.lifecycle.usable_cpus", lambda: 2)
    with caplog.at_level(logging.INFO, "kernel"):
        run(FAN, {"x": 1}, executor="threads")
        run(FAN, {"x": 1}, executor="threads", workers=3)
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("Running")]
    assert "5 nodes on 2 workers (2 CPUs usable)" in told[0]
    assert "5 nodes on 3 workers (3 asked for)" in told[1]
