"""Who gets which turn next: tiny nodes in batches, all others one at a time to whoever is idle."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kernel_process_pool.costs import TINY_S, Costs

if TYPE_CHECKING:
    from kernel.specs.events import Outcomes
    from kernel.specs.tasks import Program, Tasks, Turn
    from kernel_process_pool.workers import WorkerLink

__all__ = ["Dispatch"]

#: How much work of tiny nodes is sent ahead to a worker (seconds, estimated), and how many of them at most: enough to
#: bridge the time until the next message, little enough that nothing waits long behind another.
_AHEAD_S = 1e-3
_MOST_AHEAD = 1024


class Dispatch:
    """The queue of turns that are with no worker yet, and what is known of how long nodes take."""

    def __init__(self) -> None:
        self._queue: deque[Turn] = deque()
        self._which: Sequence[int] = ()
        self._costs = Costs(())

    def begin(self, program: Program) -> None:
        """Make ready for a run."""
        self._queue.clear()
        self._which = program.which
        self._costs = Costs(program.functions)

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, tasks: Tasks) -> None:
        """Queue turns."""
        self._queue.extend(tasks)

    def clear(self) -> list[Turn]:
        """Take everything back."""
        turns = list(self._queue)
        self._queue.clear()
        return turns

    def learn(self, batch: Outcomes, turns: Sequence[Turn], link: WorkerLink) -> None:
        """Take in how long turns took, and that they are no longer with the worker."""
        for turn, start, end in zip(turns, batch.start, batch.end, strict=True):
            which = self._which[turn.index]
            mean = self._costs.mean(which)
            link.ahead_s -= mean if mean <= TINY_S else 0.0
            if end > start:
                self._costs.add(which, end - start)
        if not link.sent:
            link.ahead_s = 0.0

    def hand_out(self, links: Iterable[WorkerLink]) -> None:
        """Send what can be sent now; the idlest worker first."""
        if not self._queue:
            return
        candidates = sorted(links, key=lambda link: len(link.sent))
        for left, link in zip(range(len(candidates), 0, -1), candidates, strict=True):
            if not self._queue:
                return
            turns = self._next(link, -(-len(self._queue) // left))
            if turns:
                link.submit(turns)

    def _next(self, link: WorkerLink, share: int) -> list[Turn]:
        """Take from the queue what this worker can have now: at most `share` tiny turns, or one of any length."""
        if link.deadline is not None or link.ahead_s > _AHEAD_S / 2:
            return []
        turns: list[Turn] = []
        while self._queue and len(turns) < min(share, _MOST_AHEAD):
            mean = self._costs.mean(self._which[self._queue[0].index])
            tiny = mean <= TINY_S and self._queue[0].timeout is None
            if not tiny and (turns or link.sent):
                break
            turns.append(self._queue.popleft())
            if not tiny:
                break
            link.ahead_s += mean
            if link.ahead_s > _AHEAD_S:
                break
        return turns
