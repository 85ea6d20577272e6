"""System calls where there is nothing but POSIX: a mapping costs a descriptor as long as it lives."""

from __future__ import annotations

import mmap
import weakref
from typing import TYPE_CHECKING

from kernel.values.ownership import PRIVATE_MEMORY

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Mappings", "map_shared", "punch"]


def map_shared(fd: int, size: int) -> memoryview:
    """Map the first `size` bytes, to be read and written together with other processes; raises `OSError`.

    It ends with its last view. `size` may go beyond what has been written.
    """
    return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_WRITE))


class Mappings:
    """Maps blocks so that what is written to them stays in this process. None is kept: a mapping costs a descriptor."""

    def map(
        self, fd: Callable[[], int], key: tuple[int, int], size: int, readonly: bool, release: Callable[[], None]
    ) -> memoryview:
        """Return a view of the block with that arena and offset; raises `OSError`.

        `readonly`: writing is refused, by the view and by the hardware. The mapping ends with its last view, slices
        and arrays over it included; then `release` is called, in any thread. Children that are forked have a copy.
        """
        access = mmap.ACCESS_READ if readonly else mmap.ACCESS_COPY
        memory = _Private(fd(), size, access=access, offset=key[1])
        # Not at exit: a view may be read later than that, and other processes see this one go.
        weakref.finalize(memory, release).atexit = False
        return memoryview(memory)

    def clear(self) -> None:
        """Nothing is kept."""


def punch(fd: int, offset: int, size: int) -> None:
    """Keep the memory until the file goes: there is no portable way to give back a part."""
    del fd, offset, size


class _Private(mmap.mmap):
    """Memory of one reader."""


setattr(_Private, PRIVATE_MEMORY, True)
