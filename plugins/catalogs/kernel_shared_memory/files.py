"""The files behind all arenas, as the runner's process handles them: what memory they take, and giving it back."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kernel_shared_memory import system
from kernel_shared_memory.arena import GRAIN

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Sequence

    from kernel_shared_memory.control import Mail, Range
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

    def extents(self, arena: int, part: Range) -> Iterator[Mail]:
        """Yield the pieces of a part, each with whether there is memory behind it."""
        at, end = part[0], part[0] + part[1]
        with self._opened(arena) as fd:
            while at < end:
                warm = fd is not None and _next(fd, at, os.SEEK_DATA, end) == at
                until = end if fd is None else _next(fd, at, os.SEEK_HOLE if warm else os.SEEK_DATA, end)
                yield at, until - at, warm
                at = until

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


def _next(fd: int, grain: int, what: int, end: int) -> int:
    """Return the first grain from this one on that is data, or a hole; `end` at most."""
    try:
        offset = os.lseek(fd, grain * GRAIN, what)
    except OSError:  # there is no more data; or the system cannot tell, and then all is taken for a hole
        return end
    # A grain that has any data is data.
    return min(end, offset // GRAIN if what == os.SEEK_DATA else max(grain + 1, -(-offset // GRAIN)))
