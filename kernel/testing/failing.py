"""What a failing node comes to: an error that names it, whatever was raised, and a run that ends as it was asked to."""

from __future__ import annotations

import pytest

from kernel import node
from kernel.errors import NodeError, ValidationError
from kernel.specs.events import State
from kernel.specs.executor import Reach
from kernel.testing import functions
from kernel.testing.bench import WORKERS, Bench
from kernel.testing.listeners import Ends
from kernel.testing.suite import applies_if

__all__ = ["FailureRules"]

_RAISED = (
    "NeedsArguments",
    "HoldsALock",
    "BreaksOnLoad",
    "Ashore",
    "SystemExit",
    "KeyboardInterrupt",
    "MemoryError",
    "RecursionError",
    "StopIteration",
)

promptly = applies_if(lambda suite: suite.capabilities.prompt)
to_other_processes = applies_if(lambda suite: suite.capabilities.reach >= Reach.PROCESS)


class FailureRules:
    """Errors, retries, and what else still runs."""

    def test_an_error_names_its_node_and_keeps_its_traceback(self, bench: Bench) -> None:
        with pytest.raises(NodeError) as caught:
            bench.run([node(functions.fail, "free", "v", name="to_blame")], {"free": 1})
        error = caught.value
        assert (error.node, error.error_type, error.error_text) == ("to_blame", "ValueError", "the sum is wrong")
        assert "in fail" in error.traceback
        assert "functions.py" in error.traceback
        assert type(error.cause) is ValueError
        assert error.worker in range(WORKERS)

    @pytest.mark.parametrize("name", _RAISED)
    def test_whatever_a_node_raises_is_its_error_and_it_runs_once(self, bench: Bench, name: str) -> None:
        nodes = [node(functions.raise_named, ["folder", "name"], "v", name="to_blame")]
        with pytest.raises(NodeError) as caught:
            bench.run(nodes, {"folder": str(bench.folder), "name": name})
        error = caught.value
        assert error.node == "to_blame"
        assert error.error_type.rpartition(".")[2] == name
        assert "raise_named" in error.traceback
        assert bench.trace("raised") == 1

    def test_what_an_error_came_of_is_told(self, bench: Bench) -> None:
        with pytest.raises(NodeError) as caught:
            bench.run([node(functions.fail_with_a_cause, "free", "v", name="n")], {"free": 1})
        assert caught.value.error_type == "RuntimeError"
        assert "the sum is wrong" in caught.value.traceback

    def test_a_node_that_makes_nothing_of_its_output_fails(self, bench: Bench) -> None:
        with pytest.raises(NodeError, match="None") as caught:
            bench.run([node(functions.nothing, "free", "made", name="to_blame")], {"free": 1})
        assert caught.value.node == "to_blame"

    def test_a_node_that_returns_too_little_fails(self, bench: Bench) -> None:
        with pytest.raises(NodeError) as caught:
            bench.run([node(functions.pair, "free", ["a", "b", "c"], name="to_blame")], {"free": 1})
        assert caught.value.node == "to_blame"

    @to_other_processes
    def test_an_output_that_cannot_travel_fails_its_node_and_names_the_dataset(self, bench: Bench) -> None:
        nodes = [node(functions.unpicklable, None, "made", name="to_blame"), node(functions.pass_on, "made", "v")]
        with pytest.raises(NodeError, match="made") as caught:
            bench.run(nodes)
        assert (caught.value.node, caught.value.error_type.rpartition(".")[2]) == ("to_blame", "DatasetError")

    @to_other_processes
    def test_what_cannot_travel_is_refused_before_anything_runs(self, bench: Bench) -> None:
        lock = functions.unpicklable()

        def holds_it() -> object:
            return lock

        nodes = [
            node(functions.count, ["folder", "name"], "ran"),
            node(functions.pass_on, "a lock", "v", name="reader"),
            node(holds_it, None, "w", name="holder"),
        ]
        with pytest.raises(ValidationError) as caught:
            bench.run(nodes, {"folder": str(bench.folder), "name": "ran", "a lock": lock})
        told = "\n".join(caught.value.problems)
        assert "a lock" in told
        assert "holder" in told
        assert bench.trace("ran") == 0

    def test_a_run_after_a_failed_one_is_as_good_as_any(self, bench: Bench) -> None:
        for _ in range(2):
            with pytest.raises(NodeError):
                bench.run([node(functions.fail, None, "v", name="n")])
            with bench.run([node(functions.constant, None, "v", name="n")]) as result:
                assert dict(result) == {"v": 1}

    # -- retries --------------------------------------------------------------------------------------------------

    def test_a_retry_loads_its_inputs_afresh(self, bench: Bench) -> None:
        nodes = [
            node(functions.pass_on, "free", "made", name="make"),
            node(functions.change_and_fail_once, ["folder", "made"], "seen", name="retried", retries=2),
        ]
        with bench.run(nodes, {"folder": str(bench.folder), "free": [1, 2, 3]}) as result:
            assert result["seen"] == [1, 2, 3]
            assert {task.node: task.attempt for task in result.report.tasks} == {"make": 1, "retried": 2}

    def test_a_node_that_fails_each_time_fails_in_the_end(self, bench: Bench) -> None:
        nodes = [node(functions.raise_named, ["folder", "name"], "v", name="n", retries=2)]
        with pytest.raises(NodeError) as caught:
            bench.run(nodes, {"folder": str(bench.folder), "name": "MemoryError"})
        assert caught.value.error_type == "MemoryError"
        assert bench.trace("raised") == 3

    # -- what else runs -------------------------------------------------------------------------------------------

    @promptly
    def test_after_a_failure_at_most_as_many_nodes_end_as_there_are_workers(self, bench: Bench) -> None:
        folder, poison = str(bench.folder), 20
        nodes = [
            node(functions.countdown, ["folder", f"i{at}", "poison"], f"o{at}", name=f"n{at}") for at in range(400)
        ]
        listener = Ends()
        values = {"folder": folder, "poison": poison, **{f"i{at}": at for at in range(400)}}
        with pytest.raises(NodeError) as caught:
            bench.run(nodes, values, hooks=[listener])
        assert caught.value.node == "n20"
        ended = [end for state, end in listener.ends if state == State.DONE]
        (failed,) = [end for state, end in listener.ends if state == State.FAILED]
        assert len(ended) == bench.trace("ran")
        assert sum(end > failed for end in ended) <= WORKERS

    @pytest.mark.parametrize(("on_failure", "runs"), [("stop", {0, 1}), ("drain", {1}), ("continue", {2})])
    def test_what_still_runs_after_a_failure_is_as_asked(self, bench: Bench, on_failure: str, runs: set[int]) -> None:
        """On one worker: a failing node and what hangs on it; beside them a ready node, and one that waits for that."""
        nodes = [
            node(functions.fail, None, "a", name="a"),
            node(functions.pass_on_counted, ["folder", "a"], "b", name="b"),
            node(functions.pass_on_counted, ["folder", "free"], "c", name="c"),
            node(functions.pass_on_counted, ["folder", "c"], "d", name="d"),
        ]
        with pytest.raises(NodeError) as caught:
            bench.run(nodes, {"folder": str(bench.folder), "free": 1}, workers=1, on_failure=on_failure)
        assert caught.value.node == "a"
        assert bench.trace("ran") in runs

    def test_all_errors_are_told_when_the_run_goes_on(self, bench: Bench) -> None:
        nodes = [node(functions.fail, f"i{at}", f"o{at}", name=f"n{at}") for at in range(3)]
        with pytest.raises(NodeError) as caught:
            bench.run(nodes, {f"i{at}": at for at in range(3)}, on_failure="continue")
        error = caught.value
        assert sorted([error.node, *(other.node for other in error.others)]) == ["n0", "n1", "n2"]
