"""When a worker is replaced in good order: after so many nodes, when it is too large, or to make room for a fresh one.

It is told to quit when it has nothing to do, so nothing is lost and nobody is to blame.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from kernel_process_pool.wire import Kind

if TYPE_CHECKING:
    from kernel_process_pool.options import Options
    from kernel_process_pool.workers import WorkerLink

__all__ = ["FAREWELL_S", "Turnover"]

#: How long workers get to end in good order (seconds).
FAREWELL_S = 10.0


class Turnover:
    """Knows the most nodes that a worker may run, and the most memory (bytes) that it may keep to itself."""

    def __init__(self, options: Options) -> None:
        self.most_nodes = options.max_nodes_per_worker
        self._most_memory = options.max_worker_memory

    def weigh(self, link: WorkerLink) -> None:
        """Give a worker nothing more that has become too large; where there is a limit this takes some 30 us."""
        if self._most_memory is not None and _private_memory(link.pid) > self._most_memory:
            link.room = 0

    def dismiss_used_up(self, active: Sequence[WorkerLink]) -> None:
        """Send home those that may be given nothing more, and have nothing to do."""
        for link in active:
            if link.room is not None and link.room <= 0 and not link.sent:
                _dismiss(link, "its replacement, in good order")

    def make_way(self, active: Sequence[WorkerLink], leaving: int, limit: int, wanted: int) -> int:
        """Return how many workers to make so that as many as are wanted have run nothing or are on their way.

        Where there is no room for them beside those that are `active` and `leaving`, others that have nothing to do are
        sent home.
        """
        missing = wanted - leaving - sum(link.fresh for link in active)
        free = limit - len(active) - leaving
        idle = [link for link in active if not (link.fresh or link.sent)]
        for link in idle[: max(0, missing - free)]:
            _dismiss(link, "its replacement by a fresh process")
        return min(missing, free)


def _dismiss(link: WorkerLink, why: str) -> None:
    link.ended_for = why
    link.deadline = monotonic() + FAREWELL_S
    link.send(Kind.QUIT, b"")


def _private_memory(pid: int) -> int:
    """Return the bytes of memory that are a process's own: no files and nothing shared; 0 where nobody says."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    _, found, rest = status.partition("RssAnon:")
    return int(rest.split(maxsplit=1)[0]) * 1024 if found else 0
