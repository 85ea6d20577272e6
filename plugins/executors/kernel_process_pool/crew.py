"""The workers of a pool as processes: made when they are needed, listened to, buried when they die."""

from __future__ import annotations

import pickle
import selectors
import signal
import socket
from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING

from kernel.errors import KernelError
from kernel.failure import rebuild
from kernel.specs.events import Event, Failure, Log, Outcomes, State, WorkerDown, WorkerUp
from kernel_process_pool.deaths import Death, in_words
from kernel_process_pool.launchers import ForkLauncher, Launcher, ServerLauncher
from kernel_process_pool.slots import Slots
from kernel_process_pool.wire import Kind
from kernel_process_pool.workers import WorkerLink

if TYPE_CHECKING:
    from kernel.specs.tasks import Turn
    from kernel_process_pool.dispatch import Dispatch

__all__ = ["Crew"]

#: So many workers in a row that end before they have run anything mean that none ever will.
_MOST_FALSE_STARTS = 3
#: How long workers get to end in good order (seconds).
_FAREWELL_S = 10.0


class Crew:
    """Up to `size` worker processes, their streams, and the one who makes them."""

    def __init__(
        self,
        method: str,
        size: int,
        modules: Sequence[str],
        selector: selectors.BaseSelector,
        dispatch: Dispatch,
    ) -> None:
        self.size = size
        self.links: dict[int, WorkerLink] = {}
        self._selector = selector
        self._dispatch = dispatch
        self._slots = Slots(size)
        self._launcher: Launcher = ForkLauncher() if method == "fork" else ServerLauncher(method, modules)
        self._program = b""
        self._limit = size
        self._false_starts = 0
        self._closing = False

    # -- workers --------------------------------------------------------------------------------------------------

    def begin(self, program: bytes, workers: int) -> None:
        """Send the program of a new run to its workers, those to come included; others that are warm stay idle."""
        self._program, self._limit = program, workers
        self.resume()
        for link in self.active():
            link.ready = False
            link.send(Kind.PROGRAM, program)

    def resume(self) -> None:
        """Let workers start turns again that held back for a failure."""
        self._slots.clear_hold()

    def active(self) -> list[WorkerLink]:
        """List the workers that take part in the run."""
        return [link for link in self.links.values() if link.number < self._limit and link.ended_for is None]

    def grow(self, more: int) -> None:
        """Make so many more workers for the run, if there may be as many."""
        for number in range(self._limit):
            if more <= 0:
                return
            if number not in self.links:
                self._start(number)
                more -= 1

    def _start(self, number: int) -> None:
        ours, theirs = socket.socketpair()
        link = WorkerLink(number, ours, self._slots[number])
        try:
            self._launcher.start(number, theirs, self._slots.fd)
        except BaseException:
            ours.close()
            raise
        self.links[number] = link
        self._selector.register(ours, selectors.EVENT_READ, link)
        for fd in self._launcher.descriptors():
            if fd not in self._selector.get_map():
                self._selector.register(fd, selectors.EVENT_READ)
        link.send(Kind.PROGRAM, self._program)

    def watch_unsent(self) -> None:
        """Have the selector tell when there is room again in streams that were full."""
        for link in self.links.values():
            if link.stream in self._selector.get_map():
                mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if link.has_unsent else 0)
                if self._selector.get_key(link.stream).events != mask:
                    self._selector.modify(link.stream, mask, link)

    # -- what comes in --------------------------------------------------------------------------------------------

    def on_ready(self, key: selectors.SelectorKey, mask: int) -> list[Event]:
        """Deal with a descriptor that the selector found ready."""
        link: WorkerLink | None = key.data
        if link is None:
            deaths = self._launcher.collect(key.fd)
            if deaths:
                self._forget_closed()
            return [event for death in deaths for event in self._bury(death)]
        if self.links.get(link.number) is not link:
            return []  # it was buried on news that came in the same round
        if mask & selectors.EVENT_WRITE:
            link.flush()
        return self._read(link) if mask & selectors.EVENT_READ else []

    def _read(self, link: WorkerLink) -> list[Event]:
        events: list[Event] = []
        try:
            for kind, body in link.receive():
                events.append(self._event(link, kind, body))
        except EOFError:
            # Its end of the stream is gone, so it is of no more use; the news of its end will follow.
            self._selector.unregister(link.stream)
            self._launcher.kill(link.number, signal.SIGKILL)
        return events

    def _event(self, link: WorkerLink, kind: Kind, body: bytes) -> Event:
        if kind == Kind.OUTCOMES:
            batch: Outcomes = pickle.loads(body)
            self._false_starts = 0
            self._dispatch.learn(batch, link.settle(batch), link)
            return batch
        if kind == Kind.LOG:
            return Log(*pickle.loads(body))
        if kind == Kind.BROKEN:
            failure: Failure = pickle.loads(body)
            error = rebuild(failure, "", link.number).cause
            if isinstance(error, KernelError):  # a listener's error, for one, says all that is to be said
                raise error
            raise KernelError(
                f"worker {link.number} could not take up the run: {failure.type_name}: {failure.message}\n"
                f"{failure.traceback}"
            )
        link.ready = True
        link.pid = self._launcher.pid(link.number) or 0
        link.start_clock()
        return WorkerUp(link.number, link.pid)

    # -- ends -----------------------------------------------------------------------------------------------------

    def _bury(self, death: Death) -> list[Event]:
        """Read the last words of a dead worker, then say what became of every turn that was with it."""
        link = self.links.get(death.number)
        if link is None:
            return []
        events = self._read(link) if link.stream in self._selector.get_map() else []
        self._forget(link)
        planned = link.ended_for is not None
        how = link.ended_for or in_words(death.code)
        fate = link.fate()
        running = fate.running
        events.append(WorkerDown(link.number, death.pid, how, running.index if running else None, planned))
        if running is not None:
            events.append(_outcome_of_running(link, running))
        elif not (planned or self._closing or link.slot.done):
            self._count_false_start(how)
        events += _without_result(link.number, fate.unreported, State.LOST)
        events += _without_result(link.number, fate.unstarted, State.CANCELLED)
        return events

    def _count_false_start(self, how: str) -> None:
        self._false_starts += 1
        if self._false_starts >= _MOST_FALSE_STARTS:
            raise KernelError(f"{self._false_starts} workers in a row ended before they ran anything, by {how}")

    def _forget(self, link: WorkerLink) -> None:
        del self.links[link.number]
        if link.stream in self._selector.get_map():
            self._selector.unregister(link.stream)
        link.stream.close()

    def _forget_closed(self) -> None:
        """Take descriptors off the selector that the launcher has closed."""
        known = {link.stream.fileno() for link in self.links.values()} | set(self._launcher.descriptors())
        for fd, key in list(_by_fd(self._selector).items()):
            if key.data is None and fd not in known:
                self._selector.unregister(key.fileobj)

    def stop_overdue(self) -> None:
        """End workers whose node has passed its time limit: first as a wish, a second later for good."""
        now = monotonic()
        for link in self.links.values():
            if link.deadline is None or now < link.deadline:
                continue
            if link.ended_for is None:
                link.ended_for = "its time limit"
                link.deadline = now + 1.0
                self._launcher.kill(link.number, signal.SIGTERM)
            else:
                link.deadline = None
                self._launcher.kill(link.number, signal.SIGKILL)

    def next_deadline(self) -> float | None:
        """Return when `stop_overdue` has something to do next, by the monotonic clock."""
        return min((link.deadline for link in self.links.values() if link.deadline is not None), default=None)

    def interrupt(self) -> None:
        """Tell workers that run something to stop it, as Ctrl-C would."""
        for link in self.links.values():
            if link.sent:
                self._launcher.kill(link.number, signal.SIGINT)

    def close(self, *, cancel: bool) -> None:
        """End all workers, with `cancel` at once; return when they are gone."""
        self._closing = True
        for link in self.links.values():
            if cancel:
                self._launcher.kill(link.number, signal.SIGKILL)
            else:
                link.send(Kind.QUIT, b"")
        until = monotonic() + (0.0 if cancel else _FAREWELL_S)
        while self.links and monotonic() < until:
            self.watch_unsent()
            for key, mask in self._selector.select(max(0.0, until - monotonic())):
                if key.data is not None or key.fd in self._launcher.descriptors():
                    self._last_words(key, mask)
        for link in list(self.links.values()):
            self._forget(link)
        for fd in self._launcher.descriptors():
            if fd in self._selector.get_map():
                self._selector.unregister(fd)
        self._launcher.close()
        self._slots.close()

    def _last_words(self, key: selectors.SelectorKey, mask: int) -> None:
        try:
            self.on_ready(key, mask)
        except KernelError:
            return  # a worker that could not start is on its way out as well


def _by_fd(selector: selectors.BaseSelector) -> Mapping[int, selectors.SelectorKey]:
    return {key.fd: key for key in selector.get_map().values()}


def _outcome_of_running(link: WorkerLink, turn: Turn) -> Outcomes:
    if link.ended_for is None:
        return Outcomes.without_result(link.number, (turn.index,), State.LOST, attempt=turn.attempt)
    text = f"it took longer than its limit of {turn.timeout:g} s and was stopped"
    failure = Failure("timeout", "TimeoutError", text, pickled=pickle.dumps(TimeoutError(text)))
    return Outcomes.without_result(link.number, (turn.index,), State.FAILED, failure=failure, attempt=turn.attempt)


def _without_result(worker: int, turns: Iterable[Turn], state: State) -> list[Event]:
    indices = [turn.index for turn in turns]
    return [Outcomes.without_result(worker, indices, state)] if indices else []
