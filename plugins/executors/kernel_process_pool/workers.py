"""The runner's side of one worker: its stream, what it was sent, how far it is."""

from __future__ import annotations

import pickle
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from attrs import define, field, frozen

from kernel_process_pool.wire import Inbox, Kind, frame

if TYPE_CHECKING:
    from kernel.specs.events import Outcomes
    from kernel.specs.tasks import Turn
    from kernel_process_pool.slots import Slot

__all__ = ["Fate", "Sent", "WorkerLink"]


@frozen
class Sent:
    """A turn that is with a worker, and the place it has in the worker's counts."""

    count: int
    turn: Turn


@frozen
class Fate:
    """What became of the turns of a worker that died: finished but not reported, running, never started."""

    unreported: Sequence[Turn]
    running: Turn | None
    unstarted: Sequence[Turn]


@define(eq=False)
class WorkerLink:
    """A worker process as the runner sees it. `pid` is 0 until it is known, `ready` once the worker has said so."""

    number: int
    stream: socket.socket
    slot: Slot
    pid: int = 0
    ready: bool = False
    #: Ended by the runner on purpose: the text says why ("its time limit").
    ended_for: str | None = None
    sent: deque[Sent] = field(factory=deque[Sent])
    #: Estimated seconds of the turns that are with it.
    ahead_s: float = 0.0
    deadline: float | None = None
    _count: int = 0
    _inbox: Inbox = field(factory=Inbox)
    _unsent: bytearray = field(factory=bytearray)

    def __attrs_post_init__(self) -> None:
        self.stream.setblocking(False)
        self.slot.reset()

    # -- out ------------------------------------------------------------------------------------------------------

    def submit(self, turns: Sequence[Turn]) -> None:
        """Send turns; a turn with a time limit is sent alone, to a worker that has nothing else to do."""
        rows = [(turn.index, turn.handles, turn.last, turn.attempt) for turn in turns]
        for turn in turns:
            self._count += 1
            self.sent.append(Sent(self._count, turn))
        if self.ready:
            self.start_clock()
        self.send(Kind.TASKS, pickle.dumps(rows, 5))

    def start_clock(self) -> None:
        """Start the time limit of the turn that is with the worker, if it has one: the worker takes it now."""
        limit = self.sent[0].turn.timeout if self.sent else None
        if limit is not None:
            self.deadline = monotonic() + limit

    def take_back(self) -> None:
        """Tell the worker to drop every turn that it has not started; it answers with an outcome for each."""
        self.slot.drop = self._count

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
                piece = self.stream.recv(1 << 20)
            except BlockingIOError:
                return
            except OSError:
                piece = b""
            if not piece:
                raise EOFError
            yield from self._inbox.feed(piece)

    def settle(self, batch: Outcomes) -> list[Turn]:
        """Take the turns of a batch of outcomes off what is with the worker; return them."""
        turns = [self.sent.popleft().turn for _ in batch.index]
        if self.ended_for is None:  # else the worker is on its way out, and the deadline says when it has to be gone
            self.deadline = None
        return turns

    def fate(self) -> Fate:
        """Sort what is still with a dead worker, by the counts in its slot."""
        started, done = self.slot.started, self.slot.done
        unreported = [sent.turn for sent in self.sent if sent.count <= done]
        running = next((sent.turn for sent in self.sent if done < sent.count == started), None)
        if running is None and unreported:
            running = unreported.pop()  # it had run, but its worker did not live to tell
        unstarted = [sent.turn for sent in self.sent if sent.count > max(started, done)]
        return Fate(unreported, running, unstarted)
