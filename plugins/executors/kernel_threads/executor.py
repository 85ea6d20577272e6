"""Runs turns in threads of this process: values are passed by reference and copied as the catalog says.

For nodes that wait (files, networks) or that leave the interpreter's lock (numpy, pandas, Arrow). A thread cannot be
stopped from outside: a node that does not end is left behind when the run gives up on it.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping, Sequence
from contextvars import Context, copy_context
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from kernel.specs.events import Event, Outcomes, Row, State, WorkerUp
from kernel.specs.executor import Capabilities, Reach
from kernel.worker import Worker

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.specs.tasks import Program, Tasks

__all__ = ["ThreadsExecutor"]

_Job = tuple[int, Sequence[Any], int, int]


class ThreadsExecutor:
    """A fixed number of threads on one queue of turns."""

    capabilities = Capabilities(reach=Reach.THREAD)
    default_catalog = "memory"

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._results: SimpleQueue[tuple[int, Row] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._events: list[Event] = []
        #: Closed by a thread whose node failed, until the runner has heard of it: it may want to start nothing more.
        self._gate = threading.Event()
        self._told_failure = False

    def validate_nodes(self, nodes: Sequence[Node]) -> None:
        """Accept every node: nothing has to travel."""

    def start(self, program: Program, workers: int) -> int:
        """Make ready for a run on exactly `workers` threads."""
        self.shutdown()
        self._jobs, self._results = SimpleQueue(), SimpleQueue()
        self._gate.set()
        self._worker = worker = Worker(program)
        worker.on_failure = self._gate.clear
        worker.start()
        context = copy_context()
        self._threads = [
            threading.Thread(
                target=_work,
                args=(worker, number, self._jobs, self._results, self._gate, context.copy()),
                name=f"kernel-worker-{number}",
                daemon=True,  # a node that never ends must not keep the process from ending
            )
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()
        self._events = [WorkerUp(number) for number in range(workers)]
        return workers

    def submit(self, tasks: Tasks) -> None:
        """Queue turns; the first free thread takes the first."""
        for turn in tasks:
            self._jobs.put((turn.index, turn.handles, turn.last, turn.attempt))

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Return all outcomes that are in, waiting for the first."""
        if self._told_failure:
            self._told_failure = False
            self._gate.set()
        events, self._events = self._events, []
        rows: list[tuple[int, Row]] = []
        try:
            first = self._results.get(block=not events, timeout=timeout)
            if first is not None:
                rows.append(first)
            while True:
                more = self._results.get_nowait()
                if more is not None:
                    rows.append(more)
        except Empty:
            pass  # that was all there is
        self._told_failure = any(row[7] is not None for _, row in rows)
        events.extend(Outcomes.of_row(number, row) for number, row in rows)
        return events

    def wake(self) -> None:
        """Make `wait` return."""
        self._results.put(None)

    def cancel(self, *, kill: bool) -> None:
        """Take back what no thread has taken yet; a running node goes on, threads cannot be stopped."""
        taken: list[int] = []
        try:
            while True:
                job = self._jobs.get_nowait()
                if job is not None:
                    taken.append(job[0])
        except Empty:
            pass  # the queue is empty now
        if taken:
            self._events.append(Outcomes.without_result(0, taken, State.CANCELLED))

    def capacity(self) -> Mapping[str, float]:
        """Offer as many CPUs as there are threads."""
        return {"cpu": float(len(self._threads))}

    def shutdown(self, *, cancel: bool = False) -> None:
        """End the threads; with `cancel`, without waiting for nodes that still run."""
        threads, self._threads = self._threads, []
        for _ in threads:
            self._jobs.put(None)
        self._gate.set()
        if not cancel:
            for thread in threads:
                thread.join()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()


def _work(
    worker: Worker,
    number: int,
    jobs: SimpleQueue[_Job | None],
    results: SimpleQueue[tuple[int, Row] | None],
    gate: threading.Event,
    context: Context,
) -> None:
    """Run turns until there is a None in the queue, each in a copy of the caller's context."""
    context.run(_reckon_apart)
    while (job := jobs.get()) is not None:
        index, handles, last, attempt = job
        row = context.copy().run(worker.run, index, handles, last, attempt)
        if row[7] is not None:
            gate.clear()
        results.put((number, row))
        gate.wait()


def _reckon_apart() -> None:
    """Give this thread a decimal context of its own, like the caller's: copies of a context share the object."""
    decimal = sys.modules.get("decimal")
    if decimal is not None:
        decimal.setcontext(decimal.getcontext().copy())
