"""Ends workers that take longer than they may, and has those reported that may take long but have taken very long."""

from __future__ import annotations

import signal
from collections.abc import Callable, Collection
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel_process_pool.silence import Silence
    from kernel_process_pool.workers import WorkerLink

__all__ = ["Overdue"]

#: How long a worker that was asked to end has until it is killed (seconds).
_LAST_CHANCE_S = 1.0


class Overdue:
    """Watches the deadlines of workers. `kill` sends a signal to one."""

    def __init__(self, silence: Silence, kill: Callable[[int, int], None]) -> None:
        self._silence = silence
        self._kill = kill

    def next_moment(self, links: Collection[WorkerLink]) -> float | None:
        """Return when `act` has something to do next, by the monotonic clock; None: not before something happens."""
        moments = [link.deadline for link in links]
        if any(link.sent for link in links):
            moments.append(self._silence.next_look())
        return min((moment for moment in moments if moment is not None), default=None)

    def act(self, links: Collection[WorkerLink]) -> None:
        """End workers whose time is over: first as a wish, a second later for good. Report silent nodes."""
        now = monotonic()
        self._silence.look(links)
        for link in links:
            if link.deadline is None or now < link.deadline:
                continue
            if link.ended_for is None:
                link.ended_for = "its time limit"
                link.deadline = now + _LAST_CHANCE_S
                self._kill(link.number, signal.SIGTERM)
            else:
                link.deadline = None
                self._kill(link.number, signal.SIGKILL)
