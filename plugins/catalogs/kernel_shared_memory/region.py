"""A set of grains, of which only the edges are kept."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_shared_memory.control import Range

__all__ = ["Region"]


class Region:
    """Grains; to put a part in or to take it out costs the same however many there are.

    An edge is a grain that is in while the one before it is not, or the other way round. So a part that is wholly in,
    or wholly out, changes sides when its two ends change: an end that was an edge is none any more, and a new one is.
    It does not matter in which order parts change sides.
    """

    def __init__(self) -> None:
        self._edges: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._edges)

    def flip(self, part: Range) -> None:
        """Put a part in that is out, or take one out that is in; in part it must not be either."""
        # What is in only one of both.
        self._edges ^= {part[0], part[0] + part[1]} if part[1] else set()

    def cut(self, parts: Iterable[Range]) -> list[Range]:
        """Take those of the parts out that are in, and return them."""
        edges = sorted(self._edges)
        inside = [part for part in parts if bisect_right(edges, part[0]) % 2]
        for part in inside:
            self.flip(part)
        return inside

    def parts(self) -> list[Range]:
        """Return what is in as parts that do not touch, in order."""
        edges = sorted(self._edges)
        return [(start, end - start) for start, end in zip(edges[::2], edges[1::2], strict=True)]

    def clear(self) -> None:
        """Take everything out."""
        self._edges.clear()
