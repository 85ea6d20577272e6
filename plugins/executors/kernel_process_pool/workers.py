"""The runner's side of one worker: its stream, what it was sent, how far it is."""

from __future__ import annotations

import pickle
import socket
from collections.abc import Callable, Iterable, Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from attrs import define, field, frozen

from kernel.specs.tasks import MADE
from kernel_process_pool.barrier import barrier
from kernel_process_pool.wire import Inbox, Kind, frame, pack_turns
from kernel_remote.turns import FOLLOWS

if TYPE_CHECKING:
    from kernel_process_pool.slots import Slot
    from kernel_remote.turns import Sent

__all__ = ["Fate", "WorkerLink"]

#: A value of this many bytes is worth being read where it was read before; so many of them are remembered.
_LARGE, _MOST_READ = 1 << 20, 32
#: As many bytes are read from a stream at once.
_PIECE = 1 << 20


@frozen
class Fate:
    """What became of the turns of a worker that died: finished but not reported, running, never started."""

    unreported: Sequence[Sent]
    running: Sent | None
    unstarted: Sequence[Sent]


@define(eq=False)
class WorkerLink:
    """A worker process as the runner sees it. `pid` is 0 until it is known, `ready` once the worker has said so.

    Turns are counted alike on both sides, in the order in which they are sent; that is how the two speak of them.
    """

    number: int
    stream: socket.socket
    slot: Slot
    pid: int = 0
    ready: bool = False
    #: How many programs it was sent.
    programs: int = 0
    #: Ended by the runner on purpose: the text says why ("its time limit").
    ended_for: str | None = None
    #: Its stream ended while it went on, so the runner killed it.
    cut: bool = False
    #: The turns that are with it, in order.
    sent: list[Sent] = field(factory=list["Sent"])
    #: The time limit (seconds) of the only turn that is with it, and by when that has to be over.
    limit: float | None = None
    deadline: float | None = None
    #: The most turns that it may still be given before it is replaced (None: no end).
    room: int | None = None
    #: It was told to drop the turns up to this count, and some of them are with others already: until it has
    #: answered it gets nothing.
    recalled: int = 0
    #: How many turns it was ever sent, and of how many of these the end is known.
    _count: int = 0
    _settled: int = 0
    #: The worker was told that so many were dealt with.
    _heard: int = 0
    _read: dict[Any, int] = field(factory=dict[Any, int])
    _inbox: Inbox = field(factory=Inbox)
    _unsent: bytearray = field(factory=bytearray)

    def __attrs_post_init__(self) -> None:
        self.stream.setblocking(False)
        self.slot.reset()

    # -- out ------------------------------------------------------------------------------------------------------

    @property
    def fresh(self) -> bool:
        """Whether this process has never been sent a turn."""
        return self._count == 0

    def take_up(self, program: bytes) -> None:
        """Send the program of a run; what the worker says of one before is of no interest any more."""
        self.ready = False
        self.programs += 1
        self.send(Kind.PROGRAM, program)

    @property
    def takes_more(self) -> bool:
        """Whether it may be sent a turn beside those that are with it."""
        return not self.recalled and self.limit is None and (self.room is None or self.room > 0)

    def submit(self, turns: Sequence[Sent], limit: float | None = None) -> None:
        """Send turns; one with a time limit is sent alone, to a worker that has nothing else to do."""
        self.sent += turns
        self._count += len(turns)
        if self.room is not None:
            self.room -= len(turns)
        self.limit = limit
        if self.ready:
            self.start_clock()
        self.send(Kind.TASKS, pack_turns(turns))

    def reads(self, handles: Iterable[Any], size: Callable[[Any], int]) -> None:
        """Note which large values it gets to read now; `size` says how many bytes a handle's value takes elsewhere."""
        for handle in handles:
            if handle is MADE or (taken := size(handle)) < _LARGE:
                continue
            try:
                self._read[handle] = taken
            except TypeError:  # a catalog's handles need not be hashable: where its values were read is not remembered
                return
            if len(self._read) > _MOST_READ:
                del self._read[next(iter(self._read))]

    def has_read(self, handles: Iterable[Any]) -> int:
        """Say how many bytes of these values it has read lately."""
        try:
            return sum(self._read.get(handle, 0) for handle in handles) if self._read else 0
        except TypeError:  # see `reads`
            return 0

    def start_clock(self) -> None:
        """Start the time limit of the turn that is with the worker, if it has one: the worker takes it now."""
        if self.limit is not None and self.sent:
            self.deadline = monotonic() + self.limit

    def take_back(self) -> None:
        """Tell the worker to drop every turn that it has not started; it answers which those are."""
        self.slot.drop(0, self._count)

    @property
    def movable(self) -> int:
        """The count of the first turn that could as well go elsewhere, as far as can be seen from here; 0 for none.

        It has not started, and is not of the chain that the worker is in.
        """
        if len(self.sent) < 2 or self.slot.dropped > self._settled:  # noqa: PLR2004 - one is running
            return 0
        for at in range(max(0, self.slot.started - self._settled), len(self.sent)):
            if not self.sent[at][4] & FOLLOWS:
                return self._settled + 1 + at
        return 0

    def recall(self) -> Sequence[Sent]:
        """Tell the worker to drop what could as well go elsewhere; return the turns that are free at once.

        Those are what has certainly not started; where the system gives no certainty, the answer has to be waited for.
        """
        first = self.movable
        if not first:
            return ()
        self.slot.drop(first, self._count)
        if not barrier():
            return ()
        at = max(first, self.slot.started + 1) - self._settled - 1
        while at < len(self.sent) and self.sent[at][4] & FOLLOWS:
            at += 1  # its chain has started since
        if at >= len(self.sent):
            return ()
        self.recalled = self._count
        taken = self.sent[at:]
        del self.sent[at:]
        return taken

    def send(self, kind: Kind, body: bytes) -> None:
        """Send a message, or as much of it as fits now: waiting for a worker that waits for us would be for ever."""
        self._unsent += frame(kind, body)
        self.flush()

    def flush(self) -> None:
        """Send more of what did not fit."""
        try:
            while self._unsent:
                with memoryview(self._unsent) as whole, whole[: 1 << 20] as piece:
                    sent = self.stream.send(piece)
                del self._unsent[:sent]
        except BlockingIOError:
            return  # the selector says when there is room again
        except OSError:
            self._unsent.clear()  # the worker is gone; the news of its end is on its way

    @property
    def has_unsent(self) -> bool:
        """Whether something is left for `flush`."""
        return bool(self._unsent)

    # -- in -------------------------------------------------------------------------------------------------------

    def receive(self) -> Iterator[tuple[Kind, bytes]]:
        """Yield each message that is in; raises EOFError after the last one of a stream that has ended."""
        while True:
            try:
                piece = self.stream.recv(_PIECE)
            except BlockingIOError:
                return
            except OSError:
                piece = b""
            if not piece:
                raise EOFError
            yield from self._inbox.feed(piece)
            if len(piece) < _PIECE:
                return  # there was no more; if there is by now, the selector says so

    def settle(self, count: int) -> None:
        """Take so many turns, the first ones, off what is with the worker."""
        del self.sent[:count]
        self._settled += count
        self._stop_clock()

    def acknowledge(self) -> None:
        """Tell the worker that all is dealt with that it has reported."""
        if self._heard != self._settled:
            self._heard = self._settled
            self.slot.hear(self._settled)

    def _stop_clock(self) -> None:
        if not self.sent:
            self.limit = None
        if self.ended_for is None:  # else the worker is on its way out, and the deadline says when it has to be gone
            self.deadline = None

    def settle_dropped(self, body: bytes) -> Sequence[Sent]:
        """Take in the worker's answer that it dropped turns; return those that nobody has been given since."""
        first, until = pickle.loads(body)  # `first` is the first that is not settled
        count = until - first + 1
        dropped = self.sent[:count]
        del self.sent[:count]
        self._settled = until
        self._stop_clock()
        if until >= self.recalled:
            self.recalled = 0
        return dropped

    def fate(self) -> Fate:
        """Sort what is still with a dead worker, by the counts in its slot."""
        started, done = self.slot.started, self.slot.done
        counted = list(enumerate(self.sent, self._settled + 1))
        unreported = [turn for count, turn in counted if count <= done]
        running = next((turn for count, turn in counted if done < count == started), None)
        if running is None and unreported:
            running = unreported.pop()  # it had run, but its worker did not live to tell
        return Fate(unreported, running, [turn for count, turn in counted if count > max(started, done)])
