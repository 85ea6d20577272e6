"""An arena as its owner sees it: it allocates blocks and writes values to them."""

from __future__ import annotations

import errno
import mmap
import os
from typing import TYPE_CHECKING

from kernel_shared_memory import system
from kernel_shared_memory.freelist import FreeList
from kernel_shared_memory.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_shared_memory.control import Range, Slot
    from kernel_shared_memory.layout import Layout

__all__ = ["GRAIN", "Arena", "part_of"]

#: Blocks start at, and take, multiples of this many bytes, so that each can be mapped by itself.
GRAIN = mmap.ALLOCATIONGRANULARITY

#: A page fault by reading maps the pages around it, too, where they are in memory: by default so many bytes.
_FAULT_AROUND = 64 * 1024


def part_of(offset: int, size: int) -> Range:
    """Return the grains that a block of `size` bytes at `offset` takes."""
    return offset // GRAIN, -(-size // GRAIN)


class Arena:
    """One worker's part of shared memory. Only the process in its slot allocates and writes; it needs a lock outside.

    Fresh pages are filled by `pwrite`: half the work of touching them through a mapping, and a full file
    system is an error there but a SIGBUS here. Pages that have been used before are written through a mapping
    that is kept, which is as cheap as copying memory can be: there are no page faults.

    `number` is the arena's and `slot` has its counts; `own` is the slot of this process, with its leases. `may_grow`
    says whether the arena may take more memory, now that its slot says so. Without `mapped`, all is written by
    `pwrite`: for files on a disk.
    """

    def __init__(
        self,
        number: int,
        fd: int,
        size: int,
        slot: Slot,
        own: Slot,
        may_grow: Callable[[], bool],
        *,
        mapped: bool = True,
    ) -> None:
        self._number = number
        self._fd = fd
        self._size = size
        self._slot = slot
        self._own = own
        self._may_grow = may_grow
        self._mapped = mapped
        self._recalls = slot.recalls
        #: Free parts with memory behind them, and without.
        self._warm = FreeList()
        self._cold = FreeList()
        #: Parts that are free but for mappings of this process.
        self._waiting = Waiting([own])
        self._window: memoryview | None = None

    def write(self, layout: Layout) -> tuple[int, int]:
        """Write a value to a block; return its offset in bytes and its serial number.

        Raises `OSError` when there is no room.
        """
        _, count = part_of(0, layout.size)
        self._collect()
        start = self._warm.take(count)
        if start is None:
            start = self._write_cold(count, layout)
        elif self._mapped:
            self._write_mapped(start * GRAIN, layout, layout.header(self._slot.next_serial()))
        else:
            _write(self._fd, start * GRAIN, layout, layout.header(self._slot.next_serial()))
        return start * GRAIN, self._slot.serial

    def drop(self, part: Range) -> None:
        """Free a block that nobody outside this process knows."""
        self._waiting.add(self._number, part)

    def close(self) -> None:
        """Give the memory of free parts back to the system, and end the mapping."""
        self._collect()
        self._cool()
        self._window = None

    def _collect(self) -> None:
        if self._recalls != self._slot.recalls:
            self._recalls = self._slot.recalls
            self._warm, self._cold, self._waiting = FreeList(), FreeList(), Waiting([self._own])
        for _, part in self._waiting.ready():
            self._warm.give(part)
        for start, count, warm in self._slot.returns.take():
            (self._warm if warm else self._cold).give((start, count))

    def _cool(self) -> None:
        """Give the memory of free parts back to the system."""
        for start, count in self._warm:
            system.punch(self._fd, start * GRAIN, count * GRAIN)
            self._slot.take(-count * GRAIN)
            self._cold.give((start, count))
        self._warm = FreeList()

    def _write_cold(self, count: int, layout: Layout) -> int:
        """Write a value where there is no memory yet; return the first grain."""
        size = count * GRAIN
        self._grow(size)
        start = self._cold.take(count)
        if start is None:
            start = self._slot.top
            if start * GRAIN + size > self._size:
                self._slot.take(-size)
                raise OSError(errno.ENOSPC, f"the arena is limited to {self._size} bytes")
            self._slot.top = start + count
        try:
            _write(self._fd, start * GRAIN, layout, layout.header(self._slot.next_serial()))
        except OSError:
            system.punch(self._fd, start * GRAIN, size)
            self._slot.take(-size)
            self._cold.give((start, count))
            raise
        return start

    def _grow(self, size: int) -> None:
        # Said before it is looked at: of two that reach for the last room at once, none may get it, but never both.
        self._slot.take(size)
        if self._may_grow():
            return
        self._cool()
        if not self._may_grow():
            self._slot.take(-size)
            raise OSError(errno.ENOSPC, "the limit on memory is reached")

    def _write_mapped(self, offset: int, layout: Layout, header: bytes) -> None:
        if self._window is None:
            try:
                self._window = system.map_shared(self._fd, self._size)
            except OSError:  # a limit on address space: the long way does it, too
                _write(self._fd, offset, layout, header)
                return
        window = self._window
        # Where this process has not used the pages yet, a read maps sixteen at once, ready to be written; a write one.
        bytes(window[offset : offset + layout.size : _FAULT_AROUND])
        window[offset : offset + len(header)] = header
        for at, part in zip(layout.offsets, layout.parts, strict=True):
            window[offset + at : offset + at + len(part)] = part


def _write(fd: int, offset: int, layout: Layout, header: bytes) -> None:
    _write_all(fd, offset, header)
    for at, part in zip(layout.offsets, layout.parts, strict=True):
        _write_all(fd, offset + at, part)


def _write_all(fd: int, offset: int, data: bytes | memoryview) -> None:
    # A system writes no more than 2 GiB at a time.
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written
