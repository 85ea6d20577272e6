"""Finds workers that sit on turns which others, who have nothing to do, could run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel_process_pool.workers import WorkerLink
    from kernel_remote.turns import Sent

__all__ = ["POLL_S", "Stragglers"]

#: A worker that has finished nothing for two polls of this length (seconds) is in a node that is not tiny after all.
POLL_S = 1e-3


class Stragglers:
    """Compares what workers have finished from one poll to the next."""

    def __init__(self) -> None:
        self._done: dict[int, int] = {}

    def are_possible(self, links: Sequence[WorkerLink]) -> bool:
        """Say whether a worker has nothing to do while another has a turn that it has not started."""
        idle = any(link.ready and not link.sent for link in links)
        if idle and any(link.movable for link in links):
            return True
        self._done.clear()
        return False

    def taken_from(self, links: Iterable[WorkerLink]) -> list[Sent]:
        """Take what can go elsewhere from each worker that has not moved since the last call."""
        taken: list[Sent] = []
        for link in links:
            done = link.slot.done
            if link.movable and self._done.get(link.number) == done:
                taken += link.recall()
            self._done[link.number] = done
        return taken
