"""Runs nodes on a standard executor of `concurrent.futures`."""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from kernel.specs.events import Event, Outcomes, State, WorkerUp
from kernel.specs.executor import Capabilities, Reach
from kernel.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernel import Node
    from kernel.specs.tasks import Program, Tasks, Turn


class ThreadFuturesExecutor:
    """A `ThreadPoolExecutor`; what comes of each future goes onto one queue, which `wait` empties."""

    capabilities = Capabilities(reach=Reach.THREAD)
    default_catalog = "memory"

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._futures: dict[int, Future[None]] = {}
        self._cancelling = threading.Lock()
        self._gate = threading.Event()  # closed at a failure until the kernel has dealt with it: it may want no more
        self._told_failure = False

    def validate_nodes(self, nodes: Sequence[Node]) -> None:
        """Accept every node: nothing leaves the process."""

    def start(self, program: Program, workers: int) -> int:
        self.shutdown()
        self._worker = Worker(program)
        self._worker.on_failure = self._gate.clear
        self._gate.set()
        self._numbers: SimpleQueue[int] = SimpleQueue()
        self._events: SimpleQueue[Event | None] = SimpleQueue()
        for number in range(workers):
            self._numbers.put(number)
            self._events.put(WorkerUp(number))
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="kernel-acme")
        self._worker.start()
        return workers

    def submit(self, tasks: Tasks) -> None:
        assert self._pool is not None
        for turn in tasks:
            self._futures[turn.index] = self._pool.submit(self._run, turn)

    def _run(self, turn: Turn) -> None:
        number = self._numbers.get()  # as many as there are threads, so it never waits
        row = self._worker.run(turn.index, turn.handles, turn.last, turn.attempt)
        self._numbers.put(number)
        if row[7] is not None:
            self._gate.clear()  # again, for an earlier failure may have been dealt with since
        self._events.put(Outcomes.of_rows(number, [row]))
        self._gate.wait()

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        if self._told_failure:
            self._gate.set()
        found: list[Event | None] = []
        try:
            found.append(self._events.get(timeout=timeout))
            while True:
                found.append(self._events.get_nowait())
        except Empty:
            self._told_failure = any(isinstance(event, Outcomes) and event.failures for event in found)
            return [event for event in found if event is not None]

    def wake(self) -> None:
        self._events.put(None)

    def cancel(self, *, kill: bool) -> None:
        with self._cancelling:  # a future can be cancelled twice, and a turn has one outcome
            waiting = [(index, future) for index, future in list(self._futures.items()) if not future.cancelled()]
            taken = [index for index, future in waiting if future.cancel()]
        if taken:
            self._events.put(Outcomes.without_result(0, taken, State.CANCELLED))

    def capacity(self) -> Mapping[str, float]:
        return {"cpu": float(self._numbers.qsize() or 1)}

    def shutdown(self, *, cancel: bool = False) -> None:
        self._gate.set()
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=not cancel, cancel_futures=cancel)
            self._worker.stop()
        self._futures.clear()
