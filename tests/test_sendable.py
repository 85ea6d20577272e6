"""Whether functions can be sent is found out once for each pipeline; what they hold may change between two runs."""

from __future__ import annotations

import importlib
import sys
import threading

import pytest

from kernel import Runner, node, pipeline
from kernel.errors import ValidationError

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(params=["process_pool", "futures"])
def runner(request):
    with Runner(request.param, workers=1) as runner:
        yield runner


def holding(held):
    def look():
        return sorted(held)

    return look


def test_what_a_function_holds_is_sent_as_it_is_in_each_run(runner):
    held = {"a": 1}
    flow = pipeline([node(holding(held), None, "seen", name="look")])
    for name in "bcd":
        assert runner.run(flow)["seen"] == sorted(held)
        held[name] = 1


def test_what_cannot_be_sent_any_more_is_one_error_that_names_the_node_and_can_be_mended(runner):
    held = {"a": 1}
    flow = pipeline([node(holding(held), None, "seen", name="look"), node(len, "seen", "count", name="count")])
    assert runner.run(flow)["count"] == 1
    held["lock"] = threading.Lock()
    for _ in range(2):
        with pytest.raises(ValidationError, match="node 'look' cannot be sent") as caught:
            runner.run(flow)
        assert "count" not in str(caught.value)
    del held["lock"]
    assert runner.run(flow)["count"] == 1


def test_a_module_that_cannot_be_found_any_more_goes_by_value_though_a_run_was_refused_before(tmp_path, monkeypatch):
    (tmp_path / "found_once.py").write_text("def answer(x):\n    return x + 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    function = importlib.import_module("found_once").answer
    flow = pipeline([node(function, "x", "y", name="answer")])
    try:
        with Runner("process_pool", workers=1) as runner:
            with pytest.raises(ValidationError, match="'x'"):
                runner.run(flow)
            sys.path.remove(str(tmp_path))
            assert runner.run(flow, {"x": 1})["y"] == 2
    finally:
        del sys.modules["found_once"]
