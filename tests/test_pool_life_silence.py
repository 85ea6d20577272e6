"""A node that does not come back is reported with its stack; one with a time limit is ended, whatever it does."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import pool_life
from kernel import Runner, node, pipeline, run
from kernel.errors import NodeError


class Gate(logging.Handler):
    """Keeps the reports on silent nodes, and makes a file when there are so many."""

    def __init__(self, path, count):
        super().__init__()
        self.path, self.count, self.texts = path, count, []

    def emit(self, record):
        if "has been running" in record.getMessage():
            self.texts.append(record.getMessage())
            if len(self.texts) == self.count:
                self.path.touch()


@pytest.fixture
def gate(tmp_path, request):
    handler = Gate(tmp_path / "gate", getattr(request, "param", 1))
    logging.getLogger("kernel").addHandler(handler)
    yield handler
    logging.getLogger("kernel").removeHandler(handler)


@pytest.fixture(scope="module")
def warm():
    with Runner("process_pool", workers=2, executor_options={"report_silent_after": 0.2}) as runner:
        yield runner


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_node_that_is_stuck_in_c_code_is_reported_once_with_its_stack(method, gate):
    steps = pipeline(
        [node(pool_life.hold_the_interpreter, "path", "a", name="stuck"), node(pool_life.process, "a", "b")]
    )
    options = {"report_silent_after": 0.2, "start_method": method}
    run(steps, {"path": str(gate.path)}, executor="process_pool", workers=1, executor_options=options)
    (report,) = gate.texts
    first, *lines = report.splitlines()
    assert "node 'stuck'" in first
    assert "worker 0 (process " in first
    assert any("most recent call first" in line for line in lines)
    assert any("pool_life.py" in line and "hold_the_interpreter" in line for line in lines)


@pytest.mark.parametrize("gate", [2], indirect=True)
def test_each_of_several_silent_nodes_is_reported(warm, gate):
    steps = pipeline([node(pool_life.wait_for, "path", name, name=name) for name in ("one", "two")])
    warm.run(steps, {"path": str(gate.path)})
    assert sorted(name for text in gate.texts for name in ("one", "two") if f"node {name!r}" in text) == ["one", "two"]
    assert all("wait_for" in text for text in gate.texts)


def test_nodes_that_go_on_are_not_reported_nor_those_with_a_time_limit(gate):
    steps = pipeline(
        [
            *(node(pool_life.sleep, "little", f"a{at}", name=f"n{at}") for at in range(40)),
            node(pool_life.sleep, "much", "b", name="limited", timeout=30),
        ]
    )
    options = {"report_silent_after": 2}
    run(steps, {"little": 0.1, "much": 3}, executor="process_pool", workers=2, executor_options=options)
    assert gate.texts == []


def test_a_worker_that_is_stopped_is_said_to_be(warm, gate):
    warm.run(pipeline([node(pool_life.stop_itself, "path", "a", name="frozen")]), {"path": str(gate.path)})
    (report,) = gate.texts
    assert "it does not answer: it is stopped" in report


@pytest.mark.parametrize(
    "function",
    [
        pool_life.sleep,
        pool_life.ignore_sigterm_and_sleep,
        pool_life.hold_the_interpreter,
        pool_life.stop_itself,
    ],
)
def test_a_node_that_passes_its_limit_is_ended_whatever_it_does(function, warm):
    steps = pipeline([node(function, "x", "a", name="late", timeout=0.5)])
    with pytest.raises(NodeError, match=r"'late'.*limit of 0\.5 s") as caught:
        warm.run(steps, {"x": 60})
    assert isinstance(caught.value.cause, TimeoutError)


@pytest.mark.parametrize("left", ["leave_a_child", "leave_a_daemon"])
def test_what_a_node_has_started_ends_with_it_at_its_limit(left, tmp_path, warm):
    steps = pipeline([node(pool_life.beat, ["folder", "name", "left"], "a", name="late", timeout=4)])
    with pytest.raises(NodeError, match="limit of 4 s"):
        warm.run(steps, {"folder": str(tmp_path), "name": "one", "left": left})
    pids = Path(tmp_path, "one").read_text().split()
    pool_life.wait_until(lambda: not [pid for pid in pids if pool_life.is_alive(pid)], "the end of all")
