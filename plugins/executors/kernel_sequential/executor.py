"""Runs turns one after another, in the order of the plan, in the thread that waits for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heappop, heappush
from itertools import repeat
from typing import TYPE_CHECKING, Any

from kernel.specs.events import Event, Outcomes, Row, State, WorkerUp
from kernel.specs.executor import Capabilities, Reach
from kernel.worker import Worker

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.specs.tasks import Program, Tasks

__all__ = ["SequentialExecutor"]

#: Outcomes of tiny nodes are told together, but none is held back for longer than this (seconds).
_SLICE_S = 250e-6


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
        handles = repeat(()) if tasks.handles is None else tasks.handles
        last = repeat(0) if tasks.last is None else tasks.last
        attempts = tasks.attempts
        for turn in zip(tasks.index, handles, last):  # noqa: B905 - what is usual has no end
            heappush(self._queue, (*turn, attempts.get(turn[0], 1)))

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Run the first turn of the queue and return its outcome; of tiny ones that follow each other, several."""
        events, self._events = self._events, []
        if self._queue and not events:
            events.append(self._run_some())
        return events

    def _run_some(self) -> Outcomes:
        worker, queue = self._worker, self._queue
        assert worker is not None
        rows: list[Row] = []
        while True:
            index, handles, last, attempt = heappop(queue)
            row = worker.run(index, handles, last, attempt)
            rows.append(row)
            # The next one in the pipeline's order is the next to run, whatever becomes ready meanwhile.
            if not queue or queue[0][0] != index + 1 or row[7] is not None or row[5] - rows[0][2] > _SLICE_S:
                break
        return Outcomes.of_rows(0, rows) if len(rows) > 1 else Outcomes.of_row(0, row)

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
