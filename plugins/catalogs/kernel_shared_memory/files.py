"""The files behind all arenas, as the runner's process handles them: what memory they take, and giving it back."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kernel_shared_memory import system
from kernel_shared_memory.arena import GRAIN

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from kernel_shared_memory.control import Range
    from kernel_shared_memory.returns import Extent
    from kernel_shared_memory.segment import Segment
    from kernel_shared_memory.spill import Spill

__all__ = ["Files"]


class Files:
    """Has the descriptors of the arenas in memory, and opens those on disk when there are any."""

    def __init__(self, control: Segment, arenas: Sequence[Segment], spill: Spill) -> None:
        self.control = control
        self._arenas = arenas
        self._spill = spill

    def used(self, arena: int) -> int:
        """Return the bytes of memory, or of disk, behind an arena."""
        with self._opened(arena) as fd:
            return 0 if fd is None else os.fstat(fd).st_blocks * 512

    def memory_in_use(self) -> int:
        """Return the bytes of memory behind all arenas that are not on disk."""
        return sum(map(self.used, range(len(self._arenas))))

    def punch(self, arena: int, part: Range) -> None:
        """Give what is behind a part back to the system."""
        with self._opened(arena) as fd:
            if fd is not None:
                system.punch(fd, part[0] * GRAIN, part[1] * GRAIN)

    def extents(self, arena: int, parts: Iterable[Range]) -> Iterator[Extent]:
        """Yield the pieces of parts, which are in order, each with whether there is memory behind it.

        Where a stretch of data or a hole ends is asked for once, however many parts lie in it: to find that out, a
        system looks at each of its pages.
        """
        until, warm = 0, False
        with self._opened(arena) as fd:
            for start, count in parts:
                at, end = start, start + count
                while at < end:
                    if at >= until:
                        until, warm = (sys.maxsize, False) if fd is None else _stretch(fd, at)
                    yield at, min(until, end) - at, warm
                    at = min(until, end)

    @contextmanager
    def _opened(self, arena: int) -> Generator[int | None]:
        """Give a descriptor of the arena's file, or None when there is none yet."""
        if arena < len(self._arenas):
            yield self._arenas[arena].fd
            return
        try:
            fd = os.open(self._spill.file(arena - len(self._arenas)), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            yield None
            return
        try:
            yield fd
        finally:
            os.close(fd)


def _stretch(fd: int, grain: int) -> tuple[int, bool]:
    """Return the first grain from this one on that differs from it in whether it has data; and whether this one has."""
    offset = grain * GRAIN
    try:
        data = os.lseek(fd, offset, os.SEEK_DATA)
    except OSError:  # there is no more data; or the system cannot tell, and then all is taken for a hole
        return sys.maxsize, False
    # A grain that has any data is data.
    if data >= offset + GRAIN:
        return data // GRAIN, False
    return max(grain + 1, -(-os.lseek(fd, offset, os.SEEK_HOLE) // GRAIN)), True
