"""What listeners hear: the same on every executor, wherever the worker is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kernel import node
from kernel.errors import NodeError
from kernel.testing import functions
from kernel.testing.limits import eventually
from kernel.testing.listeners import Broken, BrokenOnError, CallsNoted, Replaces, Reports, WorkerTraces
from kernel.testing.suite import applies_if

if TYPE_CHECKING:
    from kernel.testing.bench import Bench

__all__ = ["ListenerRules"]


with_farewell = applies_if(lambda suite: suite.capabilities.farewell)


class ListenerRules:
    """Hooks in the worker and in the runner's process, and what comes back from there."""

    def test_what_a_node_notes_is_in_its_report(self, bench: Bench) -> None:
        nodes = [node(functions.noted, f"i{at}", f"o{at}", name=f"n{at}") for at in range(3)]
        with bench.run(nodes, {f"i{at}": at for at in range(3)}) as result:
            notes = {task.node: dict(task.notes) for task in result.report.tasks}
        assert notes == {f"n{at}": {"said by the node": str(at)} for at in range(3)}

    @pytest.mark.parametrize(
        ("listener", "mark"),
        [(CallsNoted, "by reference"), (CallsNoted("by value"), "by value")],
        ids=["by reference", "by value"],
    )
    def test_a_listener_hears_each_part_of_a_turn_in_order(self, bench: Bench, listener: object, mark: str) -> None:
        nodes = [node(functions.add, "free", "made", name="n")]
        with bench.run(nodes, {"free": 1}, hooks=[listener], run_id="a-run") as result:
            (report,) = result.report.tasks
        assert report.notes["mark"] == mark
        assert report.notes["heard"] == [
            "before_dataset_loaded free",
            "after_dataset_loaded free 1",
            "before_node_run n {'free': 1} a-run",
            "after_node_run n {'made': 2}",
            "before_dataset_saved made 2",
            "after_dataset_saved made 2",
        ]

    def test_a_listener_hears_of_an_error_and_the_runner_of_what_it_noted(self, bench: Bench) -> None:
        reports = Reports()
        with pytest.raises(NodeError):
            bench.run([node(functions.fail, None, "v", name="n")], hooks=[CallsNoted, reports])
        assert reports.notes["heard"][-1] == "on_node_error n ValueError"
        assert isinstance(reports.errors["n"], NodeError)

    def test_inputs_that_a_listener_replaces_are_replaced_in_that_turn_only(self, bench: Bench) -> None:
        nodes = [
            node(functions.add, "free", "first", name="changed"),
            node(functions.add, ["free", "first"], "second", name="unchanged"),
        ]
        with bench.run(nodes, {"free": 1}, hooks=[Replaces]) as result:
            assert dict(result) == {"second": 1 + 101 + 1}

    def test_a_broken_listener_fails_the_node_and_is_named(self, bench: Bench) -> None:
        reports = Reports()
        with pytest.raises(NodeError, match="Broken") as caught:
            bench.run([node(functions.constant, None, "v", name="n")], hooks=[Broken, reports])
        assert caught.value.node == "n"
        assert caught.value.error_type.rpartition(".")[2] == "HookError"
        assert "told of the error" not in reports.notes

    def test_a_listener_that_fails_on_an_error_does_not_hide_it(self, bench: Bench) -> None:
        with pytest.raises(NodeError) as caught:
            bench.run([node(functions.fail, None, "v", name="n")], hooks=[BrokenOnError])
        assert (caught.value.error_type, caught.value.error_text) == ("ValueError", "the sum is wrong")
        assert "the listener is broken" in caught.value.traceback

    def test_the_runner_tells_of_each_node_once(self, bench: Bench) -> None:
        reports = Reports()
        nodes = [node(functions.pass_on, "free", f"o{at}", name=f"n{at}") for at in range(20)]
        with bench.run(nodes, {"free": 1}, hooks=[reports]):
            pass
        assert sorted(reports.submitted) == sorted(reports.done) == sorted(f"n{at}" for at in range(20))
        assert set(reports.errors.values()) == {None}

    @with_farewell
    def test_listeners_hear_of_workers_that_start_and_stop(self, bench: Bench) -> None:
        nodes = [node(functions.pass_on, "free", f"o{at}") for at in range(4)]
        hooks = [WorkerTraces(str(bench.folder))]
        with bench.run_cold(nodes, {"free": 1}, hooks=hooks, run_id="r") as result:
            ran = {task.worker for task in result.report.tasks}
        assert ran

        def traces(what: str) -> set[str]:
            return {path.name.removeprefix(f"{what} ") for path in bench.folder.glob(f"{what} *")}

        eventually(lambda: bool(traces("started")) and traces("stopped") == traces("started"), "workers say they stop")
