"""A worker's side of the stream: takes turns, runs them, and sends what came of them before it can be lost."""

from __future__ import annotations

import pickle
import signal
import socket
from collections import deque
from contextvars import Context, copy_context
from time import time as clock
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

from kernel.failure import capture
from kernel.held import Held
from kernel.specs.events import Outcomes, Row
from kernel.starting import load
from kernel.worker import Worker
from kernel_process_pool.adopted import Adopted
from kernel_process_pool.barrier import join_barrier
from kernel_process_pool.lifeline import leave
from kernel_process_pool.outbox import Outbox
from kernel_process_pool.pace import Pace
from kernel_process_pool.slots import ALL
from kernel_process_pool.wire import Inbox, Kind, frame, pack_outcomes, unpack_turns
from kernel_remote.caller import Caller, settle
from kernel_remote.context import entered
from kernel_remote.costs import TINY_S, Costs
from kernel_remote.surroundings import logger_names, take_over
from kernel_remote.turns import FOLLOWS, INNER, Sent, sendable

if TYPE_CHECKING:
    from kernel.specs.tasks import Program
    from kernel_process_pool.slots import Slot
    from kernel_remote.records import Word

__all__ = ["Server"]

#: Results of tiny nodes are sent together, but none is held back for longer than this (seconds).
_FLUSH_S = 2e-3


class Server:
    """Runs what it is sent, in order, on one thread."""

    def __init__(self, number: int, connection: socket.socket, slot: Slot) -> None:
        self._number = number
        self._connection = connection
        self._slot = slot
        self._outbox = Outbox(connection, self._leave_cut_off)
        self._pace = Pace(slot)
        self._inbox = Inbox()
        self._queue: deque[Sent] = deque()
        self._rows: list[Row] = []
        #: What the turns of the chain that is run have made, and which of them made what is held.
        self._made: dict[str, Any] = {}
        self._held = -1
        self._count = 0
        #: Which program this is: one may be over before a worker has come to take it up.
        self._programs = 0
        self._over = False
        self._running = False
        self._worker: Worker | None = None
        #: What nodes see of the context of the caller; each run has its own.
        self._context: Context = copy_context()
        self._costs = Costs(())
        self._adopted = Adopted()
        self._hear_interrupts()
        join_barrier()

    def serve(self) -> None:
        """Take and run turns until the runner says that it is over, or is gone."""
        while not (self._over or self._outbox.is_closed):
            piece = self._receive()
            if not piece:
                break
            for kind, body in self._inbox.feed(piece):
                self._take(kind, body)
            if self._worker is not None:  # else it could not take up the run, and what came was dropped
                self._context.run(self._run_queue, self._worker)
        self._end_program()

    def _hear_interrupts(self) -> None:
        """Let the runner interrupt a node, whatever a module has done to the signal when it was loaded."""
        signal.signal(signal.SIGINT, self._interrupted)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    def _interrupted(self, _number: int, _frame: FrameType | None) -> None:
        """End the running node as Ctrl-C would; between two nodes there is nothing to end."""
        if self._running:
            raise KeyboardInterrupt

    # -- in -------------------------------------------------------------------------------------------------------

    def _receive(self) -> bytes:
        self._adopted.collect()
        self._outbox.finish()  # a handler may have raised between two steps, when the last message was on its way
        try:
            return self._connection.recv(1 << 18)
        except ConnectionError:  # the runner ended without closing in good order
            return b""
        except OSError:
            self._leave_cut_off()

    def _take(self, kind: Kind, body: bytes) -> None:
        if kind == Kind.TASKS:
            self._queue.extend(unpack_turns(body))
            if self._worker is None:  # it could not take up that run; turns are counted all the same, on both sides
                self._drop_all()
        elif kind == Kind.PROGRAM:
            self._drop_all()
            self._end_program()
            self._programs += 1
            try:
                self._begin_program(body)
            except BaseException as error:  # a module that cannot be imported here, or exits; a listener, likewise
                self._worker = None
                self._send(Kind.BROKEN, pickle.dumps((self._programs, capture(error, "start")), 5))
        else:
            self._over = True

    def _begin_program(self, body: bytes) -> None:
        known = logger_names()
        found: tuple[Caller, Program] = load(body)
        caller, program = found
        take_over(caller, self._send_word, known)
        settle(caller)
        self._context = entered(caller.context)
        program.store.open(self._number)
        self._hear_interrupts()
        self._costs = Costs(program.functions)
        self._worker = Worker(program, self._number)
        self._worker.on_failure = self._slot.set_hold
        self._context.run(self._worker.start)
        self._send(Kind.READY, pickle.dumps(self._programs))

    def _end_program(self) -> None:
        worker, self._worker = self._worker, None
        self._made = {}
        if worker is not None:
            self._context.run(worker.stop)
            worker.program.store.close()

    # -- run ------------------------------------------------------------------------------------------------------

    def _run_queue(self, worker: Worker) -> None:
        slot, pace, queue, rows = self._slot, self._pace, self._queue, self._rows
        costs, flushed, which = self._costs, clock(), worker.program.which
        means, groups = costs.means, costs.groups
        while queue:
            index, handles, last, attempt, flags = queue[0]
            group = groups[which[index]]
            if rows and (means[group] > TINY_S or attempt > 1):
                self._flush()  # a finished result never waits for a node that is not known to be tiny and harmless
                flushed = clock()
            if pace.unheard:
                self._keep_pace()
            self._count = count = self._count + 1
            if until := slot.start(count, index):
                self._drop(until)
                continue
            queue.popleft()
            if not flags & FOLLOWS:
                self._made = {}
            try:
                self._running = True
                row = worker.run(index, handles, last, attempt, self._made, flags & INNER)
                self._running = False
            except KeyboardInterrupt as error:  # it came when the turn itself was over, but its result was not out yet
                self._running = False
                row = _failed(index, attempt, error)
            slot.finish(count)
            rows.append(row)
            if row[6] or row[7] is not None or row[9] or row[10] or row[1] is None:
                self._look_after()
            if (took := row[5] - row[2]) > TINY_S or means[group] > TINY_S:
                costs.add(group, took)
            else:
                means[group] = took  # of what stays tiny the last is as good as a mean, and takes less to find out
            if row[5] - flushed > _FLUSH_S or attempt > 1:
                self._flush()
                flushed = row[5]
        self._flush()

    def _keep_pace(self) -> None:
        """Wait for the runner where it is far behind: it gives back the memory of what was read."""
        if self._pace.is_ahead():
            self._flush()
            self._pace.wait()

    def _look_after(self) -> None:
        """Do what is to be done after a turn that saved much, failed, noted something or left its value here."""
        row = self._rows[-1]
        if row[6]:
            self._pace.saved(self._count, row[6])
        if row[9] or row[10]:
            row = self._rows[-1] = sendable(row)
        if row[1] is None:
            self._held = row[0]
        if row[7] is not None:
            self._slot.set_hold()  # the runner may want to start nothing more: what was sent ahead goes back to it
            self._drop_chain()

    # -- drop -----------------------------------------------------------------------------------------------------

    def _drop_all(self) -> None:
        if self._queue:
            self._count += 1
            self._drop(ALL)

    def _drop_chain(self) -> None:
        """Drop what was to go on with what a turn should have made that failed."""
        following = next((at for at, turn in enumerate(self._queue) if not turn[4] & FOLLOWS), len(self._queue))
        if following:
            self._count += 1
            self._drop(self._count + following - 1)

    def _drop(self, until: int) -> None:
        """Give back, unrun, the turns from the next one up to this count; they are counted as if they had run."""
        self._flush()
        if self._queue[0][4] & FOLLOWS:
            self._publish()
        first = self._count
        until = min(until, first + len(self._queue) - 1)
        while self._queue and self._count <= until:
            self._queue.popleft()
            self._count += 1
        self._count -= 1
        self._slot.skip(self._count)
        self._send(Kind.DROPPED, pickle.dumps((first, self._count)))

    def _publish(self) -> None:
        """Save the value that was held for a turn which is not going to run here: now everybody may need it."""
        worker, index = self._worker, self._held
        assert worker is not None
        for name, held in self._made.items():
            if type(held) is not Held:
                continue
            try:
                handle = worker.program.store.save(name, held.value)
                message: tuple[Any, ...] = (index, [handle], None)
            except Exception as error:  # it cannot be serialised after all: that is the error of the node that made it
                message = (index, (), capture(error, "save"))
            self._send(Kind.PUBLISHED, pickle.dumps(message, 5))
        self._made = {}

    # -- out ------------------------------------------------------------------------------------------------------

    def _flush(self) -> None:
        if self._rows:
            batch = Outcomes.of_rows(self._number, self._rows)
            self._rows.clear()
            self._send(Kind.OUTCOMES, pack_outcomes(batch))

    def _send_word(self, word: Word) -> None:
        self._send(Kind.LOG, pickle.dumps((self._number, word), 5))

    def _send(self, kind: Kind, body: bytes) -> None:
        self._outbox.send(frame(kind, body))

    def _leave_cut_off(self) -> NoReturn:
        """End, because a node or a module has closed the stream: nothing can be told any more but this."""
        self._slot.say_cut()
        leave(1)


def _failed(index: int, attempt: int, error: BaseException) -> Row:
    now = clock()
    return index, (), now, now, now, now, 0, capture(error, "run"), attempt, None, None
