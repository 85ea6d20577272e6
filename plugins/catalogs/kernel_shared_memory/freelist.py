"""The free parts of an arena, in grains: best fit, and neighbours grow together."""

from __future__ import annotations

from bisect import bisect_left, insort
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_shared_memory.control import Range

__all__ = ["FreeList"]


class FreeList:
    """Parts that may be used again; giving and taking one costs the same however many there are.

    The sorted list of sizes is the only thing that is searched, and it stays short: parts of n different sizes take
    n * n / 2 grains at least, so an arena of 64 GiB has less than 6,000.
    """

    def __init__(self) -> None:
        #: Number of grains by the first one, and first grain by the one behind the last.
        self._counts: dict[int, int] = {}
        self._starts: dict[int, int] = {}
        self._sizes: list[int] = []
        #: First grains of all parts of a size, in the order in which they came: keys only.
        self._of_size: dict[int, dict[int, None]] = {}
        #: How many grains there are in all.
        self.total = 0

    def __bool__(self) -> bool:
        return bool(self._counts)

    def __iter__(self) -> Iterator[Range]:
        return iter(sorted(self._counts.items()))

    def take(self, count: int) -> int | None:
        """Return the first of `count` free grains in a row, or None when there are none.

        They are of the smallest part that has as many, and of those of the last that became free: it is the likeliest
        to be in a cache.
        """
        at = bisect_left(self._sizes, count)
        if at == len(self._sizes):
            return None
        size = self._sizes[at]
        start = next(reversed(self._of_size[size]))
        self._remove(start)
        if size > count:
            self._insert(start + count, size - count)
        return start

    def take_largest(self, most: int | None = None) -> Range:
        """Return the largest part there is; of one with more than `most` grains, the last `most`."""
        size = self._sizes[-1]
        start = next(reversed(self._of_size[size]))
        self._remove(start)
        if most is None or size <= most:
            return start, size
        self._insert(start, size - most)
        return start + size - most, most

    def take_ending(self, end: int) -> Range | None:
        """Return the part that ends just before a grain, or None when there is none."""
        start = self._starts.get(end)
        return None if start is None else (start, self._remove(start))

    def give(self, part: Range) -> None:
        """Make a part free; it must not be free yet."""
        start, count = part
        if start + count in self._counts:
            count += self._remove(start + count)
        before = self._starts.get(start)
        if before is not None:
            count += self._remove(before)
            start = before
        self._insert(start, count)

    def _insert(self, start: int, count: int) -> None:
        self.total += count
        self._counts[start] = count
        self._starts[start + count] = start
        alike = self._of_size.get(count)
        if alike is None:
            insort(self._sizes, count)
            self._of_size[count] = {start: None}
        else:
            alike[start] = None

    def _remove(self, start: int) -> int:
        count = self._counts.pop(start)
        self.total -= count
        del self._starts[start + count]
        alike = self._of_size[count]
        del alike[start]
        if not alike:
            del self._of_size[count]
            del self._sizes[bisect_left(self._sizes, count)]
        return count
