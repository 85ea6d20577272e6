"""Reports a node that has been running for long without a word, with its stack: it may be stuck.

Nothing is asked of workers until then: a look at the words of their slots tells whether they have gone on.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from attrs import define

from kernel_process_pool.stacks import SIGNAL, Stacks

if TYPE_CHECKING:
    from kernel_process_pool.workers import WorkerLink

__all__ = ["Silence"]

#: How long a worker gets to write its stack, and how often it is looked whether it has (seconds).
_ANSWER_S = 2.0
_POLL_S = 0.05

_log = logging.getLogger("kernel")


@define(eq=False)
class _Seen:
    """A turn that runs: which process runs it, as how manieth, since when at the latest it does."""

    pid: int
    count: int
    since: float
    told: bool = False


@define(eq=False)
class _Asked:
    """A question that is under way, and what has been written so far."""

    link: WorkerLink
    seen: _Seen
    node: int
    at: float
    text: str = ""


class Silence:
    """Watches for turns that run for longer than `after` seconds (0: for none). `kill` sends a signal to a worker."""

    def __init__(self, after: float, stacks: Stacks, kill: Callable[[int, signal.Signals | int], None]) -> None:
        self._after = after
        self._period = min(5.0, max(_POLL_S, after / 8))
        self._stacks = stacks
        self._kill = kill
        self._seen: dict[int, _Seen] = {}
        self._asked: _Asked | None = None
        self._next = 0.0
        self._names: Sequence[str] = ()

    def begin(self, names: Sequence[str]) -> None:
        """Make ready for a run with nodes of these names."""
        self._names = names
        self._seen.clear()
        self._asked = None

    def next_look(self) -> float | None:
        """Return when `look` has something to do next, by the monotonic clock; None: never."""
        return self._next if self._after else None

    def look(self, links: Iterable[WorkerLink]) -> None:
        """Report turns that have been running for too long, each once."""
        now = monotonic()
        if not self._after or now < self._next:
            return
        self._next = now + self._period
        if self._asked is not None:
            self._hear(self._asked, now)
        for link in links:
            self._look_at(link, now)
        if self._asked is not None:
            self._next = now + _POLL_S

    def _look_at(self, link: WorkerLink, now: float) -> None:
        slot = link.slot
        count = slot.started
        if not (link.ready and link.sent and count > slot.done) or link.deadline is not None:
            self._seen.pop(link.number, None)
            return
        seen = self._seen.get(link.number)
        if seen is None or (seen.pid, seen.count) != (link.pid, count):
            self._seen[link.number] = _Seen(link.pid, count, now)
        elif not seen.told and self._asked is None and now - seen.since >= self._after:
            seen.told = True
            self._asked = _Asked(link, seen, slot.node, now)
            self._stacks.clear()
            self._kill(link.number, SIGNAL)

    def _hear(self, asked: _Asked, now: float) -> None:
        text = self._stacks.read()
        unfinished = not text or text != asked.text
        if unfinished and now - asked.at < _ANSWER_S and asked.link.pid == asked.seen.pid:
            asked.text = text
            return
        self._asked = None
        _log.warning(
            "node %r has been running for %.0f s on worker %d (process %d) and has no time limit. It stands here:\n%s",
            self._names[asked.node],
            asked.at - asked.seen.since,
            asked.link.number,
            asked.seen.pid,
            text.rstrip() or _why_not(asked.seen.pid),
        )


def _why_not(pid: int) -> str:
    """Say why a process does not write its stack."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "  (it does not answer)"
    reasons = {"T": "it is stopped", "D": "it waits in the system, for a disk or a network", "Z": "it has ended"}
    return f"  (it does not answer: {reasons.get(state, 'it may hold signals back')})"
