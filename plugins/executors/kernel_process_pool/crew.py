"""The workers of a pool as processes: made when they are needed, listened to, buried when they die."""

from __future__ import annotations

import pickle
import selectors
import signal
from collections.abc import Sequence
from time import monotonic
from typing import TYPE_CHECKING

from kernel.errors import KernelError
from kernel.specs.events import Event, Failure, Outcomes, Published, State, WorkerDown, WorkerUp
from kernel_process_pool.deaths import CUT, Death, FalseStarts, in_words, is_running
from kernel_process_pool.overdue import Overdue
from kernel_process_pool.room import Room
from kernel_process_pool.silence import Silence
from kernel_process_pool.slots import Slots
from kernel_process_pool.streams import open_stream
from kernel_process_pool.turnover import FAREWELL_S, Turnover
from kernel_process_pool.verdicts import cancelled, not_taken_up, of_running, without_result
from kernel_process_pool.wire import Kind, unpack_outcomes
from kernel_process_pool.workers import WorkerLink
from kernel_remote.records import heard

if TYPE_CHECKING:
    from kernel_process_pool.dispatch import Dispatch
    from kernel_process_pool.maker import Maker
    from kernel_process_pool.options import Options

__all__ = ["Crew"]


class Crew:
    """Up to `size` worker processes, their streams, and the one who makes them, which ends with them."""

    def __init__(
        self, maker: Maker, size: int, selector: selectors.BaseSelector, dispatch: Dispatch, options: Options
    ) -> None:
        self.size = size
        self.links: dict[int, WorkerLink] = {}
        self._selector = selector
        self._dispatch = dispatch
        self._maker = maker
        self._launcher = maker.launcher
        self._slots = Slots(size)
        self._silence = Silence(options.report_silent_after, maker.stacks, self._launcher.kill)
        self._overdue = Overdue(self._silence, self._launcher.kill)
        self._turnover = Turnover(options)
        self._program = b""
        self._limit = size
        self._room = Room(size)
        self._false_starts = FalseStarts()
        self._closing = False

    # -- workers --------------------------------------------------------------------------------------------------

    def begin(self, program: bytes, workers: int, names: Sequence[str]) -> None:
        """Send the program of a new run to its workers, those to come included; others that are warm stay idle.

        `names` are those of its nodes.
        """
        self._program, self._limit, self._room = program, workers, Room(workers)
        self._silence.begin(names)
        self.resume()
        for link in self.active():
            link.take_up(program)

    def resume(self) -> None:
        """Let workers start turns again that held back for a failure."""
        self._slots.clear_hold()

    def acknowledge(self) -> None:
        """Tell workers that the runner has dealt with all that was read of them."""
        for link in self.links.values():
            link.acknowledge()

    @property
    def limit(self) -> int:
        """How many workers the run may have."""
        return self._limit

    @property
    def is_held(self) -> bool:
        """Whether a node has failed and the runner has not heard of it yet: no worker would start anything."""
        return self._slots.hold

    def active(self) -> list[WorkerLink]:
        """List the workers that take part in the run."""
        return [link for link in self.links.values() if link.number < self._limit and link.ended_for is None]

    def grow(self, more: int) -> None:
        """Make so many more workers for the run, if there may be as many."""
        for number in range(self._limit):
            if more <= 0 or not self._room.is_left(self._living()):
                return
            if number not in self.links:
                self._start(number)
                more -= 1

    def _living(self) -> int:
        return sum(link.number < self._limit for link in self.links.values())

    def _start(self, number: int) -> None:
        try:
            ours, theirs = open_stream()
        except OSError as error:
            self._room.shrink(self._living(), str(error.strerror))
            return
        link = WorkerLink(number, ours, self._slots[number], room=self._turnover.most_nodes)
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
        link.take_up(self._program)

    def retire(self) -> None:
        """Send home the workers that have nothing to do and are used up; `grow` makes their successors."""
        self._turnover.dismiss_used_up(self.active())

    def make_fresh(self, wanted: int) -> None:
        """See to it that as many workers as are wanted have run nothing, are on their way, or will have room to be."""
        if wanted > 0:
            active = self.active()
            leaving = sum(link.number < self._limit for link in self.links.values()) - len(active)
            self.grow(self._turnover.make_way(active, leaving, min(self._limit, self._room.most), wanted))

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
            deaths = self._launcher.collect()
            if key.fd not in self._launcher.descriptors():  # it was the last that this one had to tell
                self._selector.unregister(key.fileobj)
            return [event for death in deaths for event in self._bury(death)]
        if self.links.get(link.number) is not link:
            return []  # it was buried on news that came in the same round
        if mask & selectors.EVENT_WRITE:
            link.flush()
        if not mask & selectors.EVENT_READ:
            return []
        events = self._read(link)
        if events:
            self._turnover.weigh(link)
        return events

    def _read(self, link: WorkerLink) -> list[Event]:
        events: list[Event] = []
        try:
            for kind, body in link.receive():
                events += self._event(link, kind, body)
        except EOFError:
            # Its end of the stream is gone, so it is of no more use; the news of its end will follow.
            self._selector.unregister(link.stream)
            link.cut = is_running(self._launcher.pid(link.number) or 0)
            self._launcher.kill(link.number, signal.SIGKILL)
        return events

    def _event(self, link: WorkerLink, kind: Kind, body: bytes) -> list[Event]:
        if kind == Kind.OUTCOMES:
            batch = unpack_outcomes(body)
            self._false_starts.clear()
            link.settle(len(batch))
            self._dispatch.learn(batch)
            return [batch]
        if kind == Kind.DROPPED:
            return cancelled([turn[0] for turn in link.settle_dropped(body)], link.number)
        if kind in (Kind.READY, Kind.BROKEN):
            return self._taken_up(link, kind, body)
        if kind == Kind.LOG:
            return [heard(*pickle.loads(body))]
        node, handles, problem = pickle.loads(body)
        if problem is None:
            return [Published(link.number, node, handles)]
        return [Outcomes.without_result(link.number, (node,), State.FAILED, failure=problem)]

    def _taken_up(self, link: WorkerLink, kind: Kind, body: bytes) -> list[Event]:
        """Take in that a worker is ready for a run, or cannot be; raises what stops it."""
        failure: Failure | None = None
        if kind == Kind.READY:
            program = pickle.loads(body)
        else:
            program, failure = pickle.loads(body)
        if program != link.programs or link.number >= self._limit:
            return []  # that run is over
        if failure is not None:
            raise not_taken_up(link.number, failure)
        self._false_starts.clear()
        link.ready = True
        link.pid = self._launcher.pid(link.number) or 0
        link.start_clock()
        return [WorkerUp(link.number, link.pid)]

    # -- ends -----------------------------------------------------------------------------------------------------

    def _bury(self, death: Death) -> list[Event]:
        """Read the last words of a dead worker, then say what became of every turn that was with it."""
        link = self.links.get(death.number)
        if link is None:
            return []
        events = self._read(link) if link.stream in self._selector.get_map() else []
        self._forget(link)
        if death.refused:
            if not self._closing:
                self._room.shrink(self._living(), death.refused)
            return cancelled([turn[0] for turn in link.sent], link.number)
        planned = link.ended_for is not None
        how = link.ended_for or (CUT if link.cut or link.slot.is_cut else in_words(death.code))
        fate = link.fate()
        running = fate.running
        events.append(WorkerDown(link.number, death.pid, how, running[0] if running else None, planned))
        if running is not None:
            events.append(of_running(link, running))
        elif not (planned or self._closing or link.ready):
            self._false_starts.add(how)
        events += without_result(link.number, [turn[0] for turn in fate.unreported], State.LOST)
        events += cancelled([turn[0] for turn in fate.unstarted], link.number)
        return events

    def _forget(self, link: WorkerLink) -> None:
        del self.links[link.number]
        if link.stream in self._selector.get_map():
            self._selector.unregister(link.stream)
        link.stream.close()

    def stop_overdue(self) -> None:
        """Deal with workers that take too long, or very long."""
        self._overdue.act(self.links.values())

    def next_deadline(self) -> float | None:
        """Return when `stop_overdue` has something to do next, by the monotonic clock."""
        return self._overdue.next_moment(self.links.values())

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
        until = monotonic() + (0.0 if cancel else FAREWELL_S)
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
        self._maker.close()
        self._slots.close()

    def _last_words(self, key: selectors.SelectorKey, mask: int) -> None:
        try:
            self.on_ready(key, mask)
        except KernelError:
            return  # a worker that could not start is on its way out as well
