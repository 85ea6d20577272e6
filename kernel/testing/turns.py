"""What an executor does with turns: one outcome for each, whatever happens; driven by hand."""

from __future__ import annotations

import threading
from collections import Counter

from kernel import node
from kernel.specs.events import Event, Outcomes, State
from kernel.testing import functions
from kernel.testing.bench import WORKERS, Bench, Drive
from kernel.testing.limits import eventually

__all__ = ["TurnRules"]


def _independent(number: int) -> list[str]:
    return [f"n{at}" for at in range(number)]


def _news(drive: Drive, timeout: float | None) -> list[Event]:
    """Wait once, after all outcomes are in; a second worker may get ready as late as now, so there may be such news."""
    events = list(drive.executor.wait(timeout))
    assert not any(isinstance(event, Outcomes) for event in events), events
    return events


class TurnRules:
    """The contract of `start`, `submit`, `wait`, `wake`, `cancel` and `shutdown`."""

    def test_each_submitted_turn_yields_exactly_one_outcome(self, bench: Bench) -> None:
        names = _independent(60)
        nodes = [node(functions.pass_on, "free", f"v{name}", name=name) for name in names]
        with bench.drive(nodes, {"free": 7}) as drive:
            drive.submit(*names[:1])
            drive.submit(*names[1:30])
            drive.poll(0.0)
            drive.submit(*names[30:])
            drive.collect(60)
            assert drive.names(State.DONE) == Counter(names)
            assert all(drive.values(name) == [7] for name in names)

    def test_start_says_how_many_workers_there_are(self, bench: Bench) -> None:
        with bench.drive([node(functions.constant, None, "v", name="n")]) as drive:
            assert 1 <= drive.workers <= WORKERS

    def test_after_start_the_executor_offers_something(self, bench: Bench) -> None:
        with bench.drive([node(functions.constant, None, "v", name="n")]) as drive:
            offered = drive.executor.capacity()
            assert offered.get("cpu", 0.0) > 0.0
            assert all(amount >= 0 for amount in offered.values())

    def test_handles_come_for_each_output_in_order(self, bench: Bench) -> None:
        nodes = [
            node(functions.pair, "free", ["value", "kind"], name="two"),
            node(functions.nothing, "free", None, name="none"),
        ]
        with bench.drive(nodes, {"free": 7}) as drive:
            drive.submit("two", "none")
            drive.collect(2)
            assert drive.values("two") == [7, "int"]
            assert drive.values("none") == []

    def test_handles_of_inputs_reach_the_turn(self, bench: Bench) -> None:
        nodes = [
            node(functions.pass_on, "free", "a", name="first"),
            node(functions.add, ["a", "a", "free"], "b", name="second"),
        ]
        with bench.drive(nodes, {"free": 7}) as drive:
            drive.submit("first")
            (made,) = drive.collect(1)[0].handles
            drive.submit("second", handles=[(made, made)], last=[0])
            drive.collect(2)
            assert drive.values("second") == [22]

    def test_the_number_of_the_attempt_comes_back(self, bench: Bench) -> None:
        nodes = [node(functions.pass_on, "free", f"v{name}", name=name) for name in ("a", "b")]
        with bench.drive(nodes, {"free": 7}) as drive:
            drive.submit("a", "b", attempts={1: 3})
            found = {drive.name(outcome): outcome.attempt for outcome in drive.collect(2)}
            assert found == {"a": 1, "b": 3}

    def test_a_failed_turn_brings_its_error_and_no_handles(self, bench: Bench) -> None:
        with bench.drive([node(functions.fail, None, "v", name="n")]) as drive:
            drive.submit("n")
            (outcome,) = drive.collect(1)
            failure = outcome.failure
            assert outcome.state == State.FAILED
            assert not outcome.handles
            assert failure is not None
            assert (failure.place, failure.type_name, failure.message) == ("run", "ValueError", "the sum is wrong")
            assert "in fail" in failure.traceback

    def test_a_worker_runs_one_turn_at_a_time(self, bench: Bench) -> None:
        names = _independent(40)
        with bench.drive(
            [node(functions.pass_on, "free", f"v{name}", name=name) for name in names], {"free": 1}
        ) as drive:
            drive.submit(*names)
            reports = sorted((outcome.report("") for outcome in drive.collect(40)), key=lambda each: each.start)
            assert {report.worker for report in reports} <= set(range(drive.workers))
            free_from = dict.fromkeys(range(drive.workers), 0.0)
            for report in reports:
                assert free_from[report.worker] <= report.start <= report.loaded <= report.ran <= report.end
                free_from[report.worker] = report.end

    # -- waiting --------------------------------------------------------------------------------------------------

    def test_wait_returns_empty_when_nothing_comes_in_time(self, bench: Bench) -> None:
        with bench.drive([node(functions.constant, None, "v", name="n")]) as drive:
            drive.submit("n")
            drive.collect(1)
            eventually(lambda: not _news(drive, 0.02), "nothing comes any more")

    def test_wait_returns_empty_while_a_node_runs_that_takes_longer(self, bench: Bench) -> None:
        folder = str(bench.folder)
        with bench.drive([node(functions.wait_for, "folder", "v", name="n")], {"folder": folder}) as drive:
            if drive.executor.capabilities.inline:
                bench.open_gate()
            drive.submit("n")
            drive.until(lambda: bench.trace("mine") == 1)
            drive.poll(0.02)
            bench.open_gate()
            drive.collect(1)

    def test_wake_makes_wait_return(self, bench: Bench) -> None:
        with bench.drive([node(functions.constant, None, "v", name="n")]) as drive:
            drive.submit("n")
            drive.collect(1)
            woken = False
            while not woken:
                waker = threading.Timer(0.1, drive.executor.wake)
                waker.start()
                woken = not _news(drive, None)
                waker.join()
            drive.poll(0.0)

    def test_a_wake_that_comes_first_is_not_forgotten(self, bench: Bench) -> None:
        with bench.drive([node(functions.constant, None, "v", name="n")]) as drive:
            drive.submit("n")
            drive.collect(1)
            drive.executor.wake()
            while _news(drive, None):
                drive.executor.wake()

    # -- taking back ----------------------------------------------------------------------------------------------

    def test_cancel_gives_back_each_turn_that_has_not_started(self, bench: Bench) -> None:
        busy, others = [f"busy{at}" for at in range(WORKERS)], _independent(20)
        nodes = [node(functions.wait_for, ["folder", f"name:{name}"], f"v{name}", name=name) for name in busy]
        nodes += [node(functions.pass_on_counted, ["folder", "free"], f"v{name}", name=name) for name in others]
        values = {"folder": str(bench.folder), "free": 7, **{f"name:{name}": name for name in busy}}
        with bench.drive(nodes, values) as drive:
            drive.submit(*busy)
            if not drive.executor.capabilities.inline:
                running = busy[: drive.workers]
                drive.until(lambda: all(bench.trace(name) for name in running))
            drive.submit(*others)
            drive.cancel(kill=False)
            bench.open_gate()
            drive.collect(WORKERS + 20)
            assert {name: drive.states()[name] for name in others} == {name: ["CANCELLED"] for name in others}
            assert bench.trace("ran") == 0
            drive.submit(*others)
            drive.collect(WORKERS + 40)
            assert drive.names(State.DONE) >= Counter(others)
            assert bench.trace("ran") == 20

    def test_cancel_without_anything_to_cancel_does_nothing(self, bench: Bench) -> None:
        with bench.drive([node(functions.constant, None, "v", name="n")]) as drive:
            drive.cancel(kill=False)
            drive.submit("n")
            drive.collect(1)
            drive.cancel(kill=False)
            drive.poll(0.02)
            assert drive.states() == {"n": ["DONE"]}

    # -- one run after another ------------------------------------------------------------------------------------

    def test_a_second_start_takes_up_another_program(self, bench: Bench) -> None:
        executor = bench.executor_factory()
        try:
            for value in (3, 4):
                nodes = [node(functions.add, [f"free{value}"] * value, "v", name=f"n{value}")]
                with bench.drive_on(executor, nodes, {f"free{value}": 1}, keep=True) as drive:
                    drive.submit(f"n{value}")
                    drive.collect(1)
                    assert drive.values(f"n{value}") == [value + 1]
        finally:
            executor.shutdown()

    def test_shutdown_may_come_twice_and_before_any_start(self, bench: Bench) -> None:
        executor = bench.executor_factory()
        executor.shutdown()
        executor.shutdown(cancel=True)
        with bench.drive([node(functions.constant, None, "v", name="n")]) as drive:
            drive.submit("n")
            drive.collect(1)
            drive.executor.shutdown()
            drive.executor.shutdown()
