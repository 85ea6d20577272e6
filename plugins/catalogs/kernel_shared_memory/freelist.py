"""The free parts of an arena, in grains: best fit, and neighbours grow together."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from kernel_shared_memory.control import Range

__all__ = ["FreeList", "gaps"]


class FreeList:
    """Parts that may be used again. Their pages are there and warm, so they are taken before new ones."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._counts: dict[int, int] = {}

    def __iter__(self) -> Iterator[Range]:
        return iter([(start, self._counts[start]) for start in self._starts])

    def take(self, count: int) -> int | None:
        """Return the first grain of `count` free ones in a row, or None when there are none."""
        fitting = [(size, start) for start, size in self._counts.items() if size >= count]
        if not fitting:
            return None
        size, start = min(fitting)
        self._remove(start)
        if size > count:
            self._insert(start + count, size - count)
        return start

    def give(self, part: Range) -> None:
        """Make a part free; it must not be free yet."""
        start, count = part
        at = bisect_left(self._starts, start)
        if at < len(self._starts) and self._starts[at] == start + count:
            count += self._remove(start + count)
        if at > 0:
            before = self._starts[at - 1]
            if before + self._counts[before] == start:
                count += self._remove(before)
                start = before
        self._insert(start, count)

    def _insert(self, start: int, count: int) -> None:
        self._starts.insert(bisect_left(self._starts, start), start)
        self._counts[start] = count

    def _remove(self, start: int) -> int:
        del self._starts[bisect_left(self._starts, start)]
        return self._counts.pop(start)


def gaps(taken: Iterable[Range], end: int) -> Iterator[Range]:
    """Yield the parts below `end` that none of `taken` covers."""
    at = 0
    for start, count in sorted(taken):
        if min(start, end) > at:
            yield at, min(start, end) - at
        at = max(at, start + count)
    if at < end:
        yield at, end - at
