"""Runs turns one after another, in the order of the plan, in the thread that waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from kernel.specs.events import Event, Outcomes, State, WorkerUp
from kernel.specs.executor import Capabilities, Reach
from kernel.worker import Worker

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.specs.tasks import Program, Tasks

__all__ = ["SequentialExecutor"]


class SequentialExecutor:
    """One worker, the runner itself. Among the nodes that could run, the first in the pipeline's order does."""

    capabilities = Capabilities(reach=Reach.THREAD, inline=True)
    default_catalog = "memory"

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._queue: list[tuple[int, Sequence[Any], int, int]] = []
        self._events: list[Event] = []

    def validate_nodes(self, nodes: Sequence[Node]) -> None:
        """Accept every node: nothing has to travel."""

    def start(self, program: Program, workers: int) -> int:
        """Make ready for a run; there is one worker whatever is asked for."""
        self._stop_worker()
        self._worker = Worker(program)
        self._events = [WorkerUp(0)]
        self._worker.start()
        return 1

    def submit(self, tasks: Tasks) -> None:
        """Queue turns."""
        for turn in tasks:
            heappush(self._queue, (turn.index, turn.handles, turn.last, turn.attempt))

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Run the first turn of the queue and return its outcome."""
        events, self._events = self._events, []
        if self._queue and not events:
            assert self._worker is not None
            index, handles, last, attempt = heappop(self._queue)
            events.append(Outcomes.of_rows(0, [self._worker.run(index, handles, last, attempt)]))
        return events

    def wake(self) -> None:
        """Do nothing: `wait` never blocks on anything but a node."""

    def cancel(self, *, kill: bool) -> None:
        """Take back what is queued; a running node is ended by the exception that a signal raises in it."""
        if self._queue:
            self._events.append(Outcomes.without_result(0, [each[0] for each in self._queue], State.CANCELLED))
            self._queue.clear()

    def capacity(self) -> Mapping[str, float]:
        """Offer one CPU."""
        return {"cpu": 1.0}

    def shutdown(self, *, cancel: bool = False) -> None:
        """Let go of the last run."""
        self._stop_worker()
        self._queue.clear()

    def _stop_worker(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
