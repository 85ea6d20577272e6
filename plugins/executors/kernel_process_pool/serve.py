"""A worker's side of the stream: takes turns, runs them, and sends what came of them before it can be lost."""

from __future__ import annotations

import pickle
import signal
import socket
import threading
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from time import perf_counter as clock
from types import FrameType
from typing import TYPE_CHECKING, Any

from kernel.failure import capture
from kernel.specs.events import Outcomes, Row, State
from kernel.worker import Worker
from kernel_process_pool.costs import TINY_S, Costs
from kernel_process_pool.wire import Inbox, Kind, frame

if TYPE_CHECKING:
    from kernel.specs.tasks import Program
    from kernel_process_pool.slots import Slot

__all__ = ["Server"]

#: Results of tiny nodes are sent together, but none is held back for longer than this (seconds).
_FLUSH_S = 250e-6


class Server:
    """Runs what it is sent, in order, on one thread."""

    def __init__(self, number: int, connection: socket.socket, slot: Slot) -> None:
        self._number = number
        self._connection = connection
        self._slot = slot
        self._sending = threading.Lock()  # log records come from any thread of a node
        self._inbox = Inbox()
        self._queue: deque[tuple[int, Sequence[Any], int, int]] = deque()
        self._rows: list[Row] = []
        self._count = 0
        self._over = False
        self._running = False
        self._worker: Worker | None = None
        self._costs = Costs(())
        signal.signal(signal.SIGINT, self._interrupted)

    def serve(self) -> None:
        """Take and run turns until the runner says that it is over, or is gone."""
        while not self._over:
            piece = self._receive()
            if not piece:
                break
            for kind, body in self._inbox.feed(piece):
                self._take(kind, body)
            self._run_queue()
        self._end_program()

    def _interrupted(self, _number: int, _frame: FrameType | None) -> None:
        """End the running node as Ctrl-C would; between two nodes there is nothing to end."""
        if self._running:
            raise KeyboardInterrupt

    # -- in -------------------------------------------------------------------------------------------------------

    def _receive(self) -> bytes:
        try:
            return self._connection.recv(1 << 18)
        except ConnectionError:  # the runner ended without closing in good order
            return b""

    def _take(self, kind: Kind, body: bytes) -> None:
        if kind == Kind.TASKS:
            self._queue.extend(pickle.loads(body))
        elif kind == Kind.PROGRAM:
            self._end_program()
            try:
                self._begin_program(body)
            except Exception as error:  # a module that cannot be imported here, a listener that cannot be built
                self._send(Kind.BROKEN, pickle.dumps(capture(error, "start"), 5))
                self._over = True
        else:
            self._over = True

    def _begin_program(self, body: bytes) -> None:
        program: Program = pickle.loads(body)
        _set_up_logging(program.log_level, self._send_record)
        _set_warning_filters(program.warning_filters)
        program.store.open(self._number)
        self._costs = Costs(program.functions)
        self._worker = Worker(program, self._number)
        self._worker.on_failure = self._slot.set_hold
        self._worker.start()
        self._send(Kind.READY, b"")

    def _end_program(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.stop()
            worker.program.store.close()

    # -- run ------------------------------------------------------------------------------------------------------

    def _run_queue(self) -> None:
        worker, slot, queue, rows = self._worker, self._slot, self._queue, self._rows
        flushed = clock()
        while queue:
            assert worker is not None
            self._count += 1
            until = self._count + len(queue) - 1 if slot.hold else slot.drop
            if self._count <= until:
                self._drop(until)
                continue
            index, handles, last, attempt = queue.popleft()
            which = worker.program.which[index]
            if rows and self._costs.mean(which) > TINY_S:
                self._flush()  # a finished result never waits for a node that is not known to be tiny
                flushed = clock()
            slot.start(self._count, index)
            row = self._run(worker, index, handles, last, attempt)
            slot.finish(self._count)
            rows.append(row)
            self._costs.add(which, row[5] - row[2])
            if row[7] is not None:
                slot.set_hold()  # the runner may want to start nothing more: what was sent ahead goes back to it
            if (now := clock()) - flushed > _FLUSH_S:
                self._flush()
                flushed = now
        self._flush()

    def _run(self, worker: Worker, index: int, handles: Sequence[Any], last: int, attempt: int) -> Row:
        try:
            self._running = True
            row = worker.run(index, handles, last, attempt)
            self._running = False
        except KeyboardInterrupt as error:  # it came when the turn itself was over, but its result was not out yet
            self._running = False
            zero = clock()
            row = (index, (), zero, zero, zero, zero, 0, capture(error, "run"), attempt, None, None)
        return row

    def _drop(self, until: int) -> None:
        """Give back, unrun, the turns from the next one up to this count."""
        self._flush()
        dropped: list[tuple[int, int]] = []
        while self._queue and self._count <= until:
            index, _, _, attempt = self._queue.popleft()
            dropped.append((index, attempt))
            self._count += 1
        self._count -= 1
        indices = [index for index, _ in dropped]
        outcomes = Outcomes.without_result(self._number, indices, State.CANCELLED)
        self._send(Kind.OUTCOMES, pickle.dumps(outcomes, 5))
        # Their place in the counts stays taken, so that both sides go on counting alike.
        self._slot.finish(self._count)

    # -- out ------------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        rows = self._rows
        if not rows:
            return
        try:
            body = pickle.dumps(Outcomes.of_rows(self._number, rows), 5)
        except Exception:  # a note that cannot be pickled: find the one and fail its node
            body = pickle.dumps(Outcomes.of_rows(self._number, [_sendable(row) for row in rows]), 5)
        rows.clear()
        self._send(Kind.OUTCOMES, body)

    def _send_record(self, record: dict[str, Any]) -> None:
        self._send(Kind.LOG, pickle.dumps((self._number, record), 5))

    def _send(self, kind: Kind, body: bytes) -> None:
        with self._sending:
            try:
                self._connection.sendall(frame(kind, body))
            except ConnectionError:
                self._over = True  # the runner is gone, and with it everybody who wants to know


def _sendable(row: Row) -> Row:
    try:
        pickle.dumps(row, 5)
    except Exception as error:  # whatever a noted object's pickling raises is the node's error
        error.add_note("kernel.note() was given this value; note something that can be pickled")
        return (row[0], (), *row[2:6], 0, capture(error, "hook"), row[8], None, None)
    return row


def _set_warning_filters(filters: Sequence[Any]) -> None:
    """Put the runner's filters in force, the first of them first."""
    warnings.resetwarnings()
    for action, message, category, module, line in reversed(filters):
        patterns = [
            pattern if isinstance(pattern, str) else pattern.pattern if pattern else "" for pattern in (message, module)
        ]
        warnings.filterwarnings(action, patterns[0], category, patterns[1], line)


def _set_up_logging(level: int | None, send: Callable[[dict[str, Any]], None]) -> None:
    """Send every record to the runner, which hands it to the handlers that the user set up there."""
    if level is None:
        return
    import logging  # noqa: PLC0415 - only where the runner uses it

    class ToRunner(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info:
                record.exc_text = logging.Formatter().formatException(record.exc_info)
            plain = {
                **record.__dict__,
                "msg": record.getMessage(),
                "args": None,
                "exc_info": None,
                "stack_info": record.stack_info,
            }
            send({key: value for key, value in plain.items() if isinstance(value, str | int | float | type(None))})

    root = logging.getLogger()
    root.handlers[:] = [ToRunner()]
    root.setLevel(level)
