"""Keeps a worker from running away from the runner: memory is given back by the runner, once it has heard of readers.

In a chain a worker goes straight on, and a runner that is slow (a listener that writes to a disk, a machine with more
to do than cores) hears late of what has run. Until then nothing that was read is given back, so each value that is
saved meanwhile takes memory of its own.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel_process_pool.slots import Slot

__all__ = ["Pace"]

#: A worker starts nothing while so many bytes of values, beside the last one, were saved and not heard of: at the
#: speed of memory that is a millisecond, in which a runner with time to spare has long answered.
_AHEAD = 16 << 20
#: Nor does it wait for longer than this (seconds): a runner that runs a node itself does not answer for as long as that
#: takes, and work should go on meanwhile.
_PATIENCE_S = 0.2
#: The first and the longest pause between two looks (seconds).
_PAUSE_S, _LONGEST_PAUSE_S = 5e-5, 1e-3


class Pace:
    """What a worker has saved outside of messages and the runner has not dealt with yet."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        #: Counts of turns, and the bytes that each saved.
        self.unheard: list[tuple[int, int]] = []

    def saved(self, count: int, size: int) -> None:
        """Note that turn number `count` has saved so many bytes."""
        self.unheard.append((count, size))

    def is_ahead(self) -> bool:
        """Whether the next turn had better wait. The last value does not count, so that no turn waits for an answer."""
        heard = self._slot.heard
        if self.unheard and self.unheard[0][0] <= heard:
            self.unheard = [each for each in self.unheard if each[0] > heard]
        return sum([size for _, size in self.unheard[:-1]]) > _AHEAD

    def wait(self) -> None:
        """Wait, but not for ever, until the runner has caught up; what is finished must have been sent."""
        until = time.monotonic() + _PATIENCE_S
        pause = _PAUSE_S
        while self.is_ahead() and time.monotonic() < until:
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_S)
