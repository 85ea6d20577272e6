"""The private mappings of this process; one that still mirrors its file is kept for the next reader of the block."""

from __future__ import annotations

import ctypes
import mmap
import weakref
from typing import TYPE_CHECKING

from kernel.processes import Home
from kernel.values.ownership import PRIVATE_MEMORY
from kernel_shared_memory import linux, pages

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Mappings"]

#: Arena, offset and size of a mapping, and whether it can only be read.
_Key = tuple[int, int, int, bool]

#: At most so many mappings without views are kept, of so many bytes in all. They hold no memory but page tables (a five
#: hundredth of that), for their pages are the file's; they take room among addresses.
_KEPT = 64
_KEPT_BYTES = 8 << 30
#: Smaller mappings are as cheap to make as to look through.
_WORTH_KEEPING = 1 << 20
#: With more runs of written pages than this, a new mapping is cheaper.
_RUNS = 64


class Mappings:
    """Maps blocks so that what is written to them stays in this process.

    Page faults are nearly all that a mapping costs. So when the last view of one is gone, written pages are given
    back, and what is left mirrors the file again: whatever its owner writes there later will be seen. It is no reader
    of the block then, and needs no lease.

    Views end in finalizers, which may run at any moment, even within `map` of the same thread: `_ended` takes no lock
    and uses operations on dictionaries that cannot be interrupted.
    """

    def __init__(self) -> None:
        self._kept: dict[_Key, int] = {}
        self._keeps = True
        self._home = Home()

    def map(
        self, fd: Callable[[], int], key: tuple[int, int], size: int, readonly: bool, release: Callable[[], None]
    ) -> memoryview:
        """Return a view of the block with that arena and offset; raises `OSError`.

        `readonly`: writing is refused, by the view and by the hardware. The mapping ends with its last view, slices
        and arrays over it included; then `release` is called, in any thread. Children that are forked have a copy.
        """
        length = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
        full = (*key, length, readonly)
        address = self._kept.pop(full, None)
        if address is None:
            address = self._new(fd(), key[1], length, readonly)
        memory = (ctypes.c_char * size).from_address(address)
        setattr(memory, PRIVATE_MEMORY, True)
        # Not at exit: views may be read later than that, and the system unmaps everything anyway.
        weakref.finalize(memory, self._ended, full, address, release).atexit = False
        view = memoryview(memory).cast("B")
        return view.toreadonly() if readonly else view

    def clear(self) -> None:
        """End all mappings that have no views, and keep none from now on."""
        self._keeps = False
        self._drop_kept()

    def _new(self, fd: int, offset: int, length: int, readonly: bool) -> int:
        if len(self._kept) >= _KEPT:
            self._drop_kept(oldest=1)
        try:
            return linux.map_memory(fd, offset, length, readonly)
        except OSError:  # perhaps there is no room among addresses
            self._drop_kept()
            return linux.map_memory(fd, offset, length, readonly)

    def _drop_kept(self, oldest: int | None = None) -> None:
        for key in list(self._kept)[:oldest]:
            address = self._kept.pop(key, None)
            if address is not None:
                linux.unmap(address, key[2])

    def _ended(self, key: _Key, address: int, release: Callable[[], None]) -> None:
        if not self._home.is_here:  # the copy that a fork made; the lease is not ours
            linux.unmap(address, key[2])
            return
        # What can only be read was not written, so it need not be looked through.
        keep = self._has_room(key[2]) and (key[3] or _mirrors(address, key[2]))
        if not keep or self._kept.setdefault(key, address) != address:
            linux.unmap(address, key[2])
        release()

    def _has_room(self, length: int) -> bool:
        if not self._keeps or length < _WORTH_KEEPING or len(self._kept) >= _KEPT:
            return False
        return length + sum(key[2] for key in list(self._kept)) <= _KEPT_BYTES


def _mirrors(address: int, length: int) -> bool:
    """Give back what was written to a private mapping; return whether it shows its file again, in most of its pages."""
    if not pages.can_tell():
        return False
    try:
        runs = pages.written(address, length)
        if len(runs) > _RUNS or 2 * sum(size for _, size in runs) > length:
            return False
        for start, size in runs:
            linux.give_back(start, size)
    except OSError:
        return False
    return True
