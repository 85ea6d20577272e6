"""What the runner's process gives back to the owner of an arena: a ring of words, each a part of the arena."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel_shared_memory.control import Range

__all__ = ["CELLS", "MOST", "Extent", "Returns"]

#: A part of an arena, and whether there is memory behind it: first grain, number of grains, "warm".
Extent = tuple[int, int, bool]

#: How many parts there is room for; a power of two.
CELLS = 128
#: A word has the first grain below, then the number of grains, whether there is memory behind them, and the lap.
_COUNT_BIT, _WARM_BIT, _LAP_BIT = 34, 62, 63
#: The largest part that a word can name, in grains.
MOST = (1 << (_WARM_BIT - _COUNT_BIT)) - 1
_START = (1 << _COUNT_BIT) - 1
_POSTED, _READ = 0, 1


class Returns:
    """Parts in the order in which they were posted; one process posts them, one takes them.

    `cells` and how many were ever posted are written by the runner's process alone, how many were read by the owner
    alone, or by the runner's process for an owner that is idle or gone. Whether a cell is new is in the cell itself: a
    bit that changes from lap to lap. So nothing depends on the order in which a processor shows writes to others. And
    as the count is kept in the segment, an owner's successor goes on where that one ended.
    """

    def __init__(self, cells: memoryview, counts: memoryview) -> None:
        self._cells = cells
        self._counts = counts

    @property
    def has_room(self) -> bool:
        """Whether one more can be posted; for the runner's process."""
        return self._counts[_POSTED] - self._counts[_READ] < CELLS

    def post(self, part: Range, warm: bool) -> None:
        """Give back a part of at most `MOST` grains, for which there must be room; for the runner's process.

        `warm`: there is memory behind it.
        """
        posted = self._counts[_POSTED]
        # The bit is 1 in the first lap: a cell that was never written is not new.
        lap = not posted // CELLS & 1
        self._cells[posted % CELLS] = lap << _LAP_BIT | warm << _WARM_BIT | part[1] << _COUNT_BIT | part[0]
        self._counts[_POSTED] = posted + 1

    def take(self) -> list[Extent]:
        """Return the parts that were given back; for the arena's owner."""
        parts: list[Extent] = []
        begin = read = self._counts[_READ]
        while (word := self._cells[read % CELLS]) >> _LAP_BIT != read // CELLS & 1:
            parts.append((word & _START, word >> _COUNT_BIT & MOST, bool(word >> _WARM_BIT & 1)))
            read += 1
        if read != begin:
            self._counts[_READ] = read
        return parts

    def clear(self) -> None:
        """Take back what was not read; for the runner's process, while the owner is idle or gone."""
        self._counts[_READ] = self._counts[_POSTED]
