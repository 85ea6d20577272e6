"""An arena as its owner sees it: it allocates blocks and writes values to them."""

from __future__ import annotations

import errno
import mmap
import os
from typing import TYPE_CHECKING

from kernel_shared_memory import system
from kernel_shared_memory.freelist import FreeList

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_shared_memory.control import Range, Slot
    from kernel_shared_memory.layout import Layout

__all__ = ["GRAIN", "Arena", "part_of"]

#: Blocks start at, and take, multiples of this many bytes, so that each can be mapped by itself.
GRAIN = mmap.ALLOCATIONGRANULARITY


def part_of(offset: int, size: int) -> Range:
    """Return the grains that a block of `size` bytes at `offset` takes."""
    return offset // GRAIN, -(-size // GRAIN)


class Arena:
    """One worker's part of shared memory. Only the process in its slot allocates and writes; it needs a lock outside.

    Fresh pages are filled by `pwrite`: half the work of touching them through a mapping, and a full file
    system is an error there but a SIGBUS here. Pages that have been used before are written through a mapping
    that is kept, which is as cheap as copying memory can be: there are no page faults.
    """

    def __init__(self, fd: int, size: int, slot: Slot, in_use: Callable[[Range], bool]) -> None:
        self._fd = fd
        self._size = size
        self._slot = slot
        #: Says whether this process has a mapping of a part.
        self._in_use = in_use
        self._free = FreeList()
        #: Parts that are free but for a mapping of this process.
        self._held: list[Range] = []
        self._window: memoryview | None = None

    def write(self, layout: Layout) -> tuple[int, int]:
        """Write a value to a block; return its offset in bytes and its serial number.

        Raises `OSError` when there is no room.
        """
        _, count = part_of(0, layout.size)
        self._collect()
        start = self._free.take(count)
        if start is not None:
            serial = self._slot.next_serial()
            self._write_used(start * GRAIN, layout, layout.header(serial))
            return start * GRAIN, serial
        start = self._slot.top
        if (start + count) * GRAIN > self._size:
            raise OSError(errno.ENOSPC, f"the arena is limited to {self._size} bytes")
        serial = self._slot.next_serial()
        self._slot.top = start + count
        try:
            _write_fresh(self._fd, start * GRAIN, layout, layout.header(serial))
        except OSError:
            system.punch(self._fd, start * GRAIN, count * GRAIN)
            self._slot.top = start
            raise
        return start * GRAIN, serial

    def drop(self, part: Range) -> None:
        """Free a block that nobody outside this process knows."""
        self._held.append(part)

    def close(self) -> None:
        """Give the memory of free parts back to the system, and end the mapping."""
        self._collect()
        for start, count in self._free:
            system.punch(self._fd, start * GRAIN, count * GRAIN)
        self._window = None

    def _collect(self) -> None:
        held, self._held = self._held, []
        for part in held:
            if self._in_use(part):
                self._held.append(part)
            else:
                self._free.give(part)
        for part in self._slot.take_mail():
            self._free.give(part)

    def _write_used(self, offset: int, layout: Layout, header: bytes) -> None:
        if self._window is None:
            try:
                self._window = system.map_shared(self._fd, self._size)
            except OSError:  # a limit on address space: the long way does it, too
                _write_fresh(self._fd, offset, layout, header)
                return
        window = self._window
        window[offset : offset + len(header)] = header
        for at, part in zip(layout.offsets, layout.parts, strict=True):
            window[offset + at : offset + at + len(part)] = part


def _write_fresh(fd: int, offset: int, layout: Layout, header: bytes) -> None:
    _write_all(fd, offset, header)
    for at, part in zip(layout.offsets, layout.parts, strict=True):
        _write_all(fd, offset + at, part)


def _write_all(fd: int, offset: int, data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written
