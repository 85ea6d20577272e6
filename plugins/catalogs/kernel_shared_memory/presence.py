"""A store's state in one process: its slot, its leases, its arena, and the descriptors of the arenas it has used."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from kernel_shared_memory import control, system
from kernel_shared_memory.arena import Arena, part_of
from kernel_shared_memory.leases import Leases

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_shared_memory.layout import Layout
    from kernel_shared_memory.shape import Block, Shape

__all__ = ["Presence"]


class Presence:
    """This process in slot `number` of the run; safe to use from any of its threads.

    `borrowed` are descriptors of all arenas, where this process has them already. Raises `OSError` when the
    control segment cannot be opened: the runner's process has ended.
    """

    def __init__(self, shape: Shape, number: int, borrowed: Sequence[int] = ()) -> None:
        self._shape = shape
        self._borrowed = borrowed
        self._fds: dict[int, int] = {}
        self._arena: Arena | None = None
        self._lock = threading.Lock()
        self.number = number
        self.pid = os.getpid()
        fd = os.open(shape.control, os.O_RDWR | os.O_CLOEXEC)
        try:
            self._slot = control.map_slot(control.map_control(fd, len(shape.arenas)), number)
            with control.locked(fd, number):
                self._slot.take_over(self.pid)
        finally:
            os.close(fd)
        self._leases = Leases(self._slot)

    def write(self, layout: Layout) -> Block:
        """Write a value to this process's arena; raises `OSError` when there is no room."""
        with self._lock:
            if self._arena is None:
                fd = self._descriptor(self.number)
                self._arena = Arena(fd, self._shape.arena_size, self._slot, self._is_mapped)
            offset, serial = self._arena.write(layout)
        return self.number, offset, layout.size, serial

    def drop(self, block: Block) -> None:
        """Free a block that this process wrote and nobody was told about; others are left alone."""
        if block[0] == self.number and self._arena is not None:
            with self._lock:
                self._arena.drop(part_of(block[1], block[2]))

    def map(self, block: Block, readonly: bool) -> memoryview:
        """Return a view of a block that only this process can change; raises `OSError` when it cannot be opened.

        The block is leased as long as there is a view of it.
        """
        arena, offset, size, _ = block
        fd = self._descriptor(arena)
        end = self._leases.take(arena, part_of(offset, size))
        if end is not None:
            try:
                return system.map_private(fd, offset, size, readonly, end)
            except OSError:  # as many mappings as the system allows: a copy does it, too
                end()
        return _copy(fd, offset, size, readonly)

    def close(self) -> None:
        """Let go of everything but the mappings that have views; not in a process that was forked off."""
        if self.pid != os.getpid():
            return
        with self._lock:
            self._slot.mark_closed()
            if self._arena is not None:
                self._arena.close()
                self._arena = None
            for fd in self._fds.values():
                os.close(fd)
            self._fds = {}

    def _is_mapped(self, part: control.Range) -> bool:
        return self._leases.holds(self.number, part)

    def _descriptor(self, arena: int) -> int:
        if self._borrowed:
            return self._borrowed[arena]
        fd = self._fds.get(arena)
        if fd is None:
            mode = os.O_RDWR if arena == self.number else os.O_RDONLY
            opened = os.open(self._shape.arenas[arena], mode | os.O_CLOEXEC)
            fd = self._fds.setdefault(arena, opened)
            if fd != opened:  # another thread was quicker
                os.close(opened)
        return fd


def _copy(fd: int, offset: int, size: int, readonly: bool) -> memoryview:
    copied = memoryview(bytearray(size))
    done = 0
    while done < size:
        done += os.preadv(fd, [copied[done:]], offset + done)
    return copied.toreadonly() if readonly else copied
