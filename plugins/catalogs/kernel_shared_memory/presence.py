"""A store's state in one process: its slot, its leases, its arenas, and the descriptors of those it has used."""

from __future__ import annotations

import errno
import os
import threading
from functools import partial
from typing import TYPE_CHECKING

from kernel.processes import Home
from kernel_shared_memory import control, system
from kernel_shared_memory.arena import Arena, part_of
from kernel_shared_memory.leases import Leases
from kernel_shared_memory.spill import Spill

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_shared_memory.layout import Layout
    from kernel_shared_memory.shape import Block, Shape

__all__ = ["Presence", "enter"]

#: So many bytes of a block tell it from any other, or the end of it if it is shorter.
_CHECKED = 64

#: What a worker was in the run before, kept for the next one: windows, mappings and free parts stay warm.
_parked: list[Presence] = []


def enter(shape: Shape, number: int) -> Presence:
    """Return this process's presence in slot `number`: that of the run before, if it goes on in the same memory.

    Raises `OSError` when the control segment cannot be opened: the runner's process has ended.
    """
    while _parked:
        presence = _parked.pop()
        if presence.is_in(shape, number):
            presence.tidy()
            return presence
        presence.close()
    return Presence(shape, number)


class Presence:
    """This process in slot `number` of the run; safe to use from any of its threads.

    `borrowed` are descriptors of the arenas in memory, where this process has them already. Raises `OSError` when the
    control segment cannot be opened.
    """

    def __init__(self, shape: Shape, number: int, borrowed: Sequence[int] = ()) -> None:
        self._shape = shape
        self._borrowed = borrowed
        self._fds: dict[int, int] = {}
        self._arenas: dict[int, Arena] = {}
        self._spill = Spill(shape.spill)
        self._lock = threading.Lock()
        self.number = number
        self._home = Home()
        self._pid = os.getpid()
        fd = os.open(shape.control, os.O_RDWR | os.O_CLOEXEC)
        try:
            words = control.map_control(fd, 2 * shape.owners)
            self._slots = [control.map_slot(words, each) for each in range(2 * shape.owners)]
            self._slot = self._slots[number]
            with control.locked(fd, number):
                self._slot.take_over(self._pid)
        finally:
            os.close(fd)
        self._leases = Leases(self._slot)
        self._mappings = system.Mappings()

    def write(self, layout: Layout) -> Block:
        """Write a value to this process's arena in memory, else to that on disk; raises `OSError` without room."""
        with self._lock:
            try:
                return self._write(self.number, layout)
            except OSError:  # the limit is reached, or the file system is full
                return self._write(self.number + self._shape.owners, layout)

    @property
    def is_here(self) -> bool:
        """Whether this is its process, and not one that was forked off."""
        return self._home.is_here

    @property
    def can_read(self) -> bool:
        """Whether blocks can be had here: in its process, and in children of the runner's, which has them open."""
        return self._home.is_here or bool(self._borrowed)

    def drop(self, block: Block) -> None:
        """Free a block that this process wrote and nobody was told about; others are left alone."""
        if block[0] in self._arenas:
            with self._lock:
                self._arenas[block[0]].drop(part_of(block[1], block[2]))

    def map(self, block: Block, readonly: bool) -> memoryview:
        """Return a view of a block that only this process can change; raises `OSError` when it cannot be opened.

        The block is leased as long as there is a view of it. A process that was forked off cannot lease anything: it
        gets a copy, or an error when the block was written anew meanwhile.
        """
        if not self._home.is_here:
            return self._copy_unleased(block, readonly)
        arena, offset, size, _ = block
        end = self._leases.take(arena, part_of(offset, size))
        fd = partial(self._descriptor, arena)
        if end is not None:
            try:
                return self._mappings.map(fd, (arena, offset), size, readonly, end)
            except OSError:  # as many mappings as the system allows: a copy does it, too
                end()
        return _copy(fd(), offset, size, readonly)

    def is_in(self, shape: Shape, number: int) -> bool:
        """Say whether this is the presence in that slot of that memory, and this process still has the slot."""
        same = self._shape.token == shape.token and self.number == number
        return same and self._home.is_here and self._slot.pid == self._pid

    def tidy(self) -> None:
        """Take back leases of children that have ended."""
        self._leases.tidy()

    def leave(self) -> None:
        """Let go of everything, or of nothing when the next run may go on here. The runner's own stays in any case."""
        if self._shape.warm and self._home.is_here:
            _parked.append(self)
        elif not self._borrowed:
            self.close()

    def close(self) -> None:
        """Let go of everything but the mappings that have views; not in a process that was forked off."""
        if not self._home.is_here:
            return
        self._mappings.clear()
        with self._lock:
            if self._slot.pid == self._pid:
                for arena in self._arenas.values():
                    arena.close()
            self._arenas.clear()
            for fd in self._fds.values():
                os.close(fd)
            self._fds = {}
            self._spill.leave()

    def _write(self, number: int, layout: Layout) -> Block:
        arena = self._arenas.get(number)
        if arena is None:
            on_disk = number >= self._shape.owners
            if on_disk:
                self._spill.join()
            arena = self._arenas[number] = Arena(
                number,
                self._descriptor(number),
                self._shape.arena_size,
                self._slots[number],
                self._slot,
                _always if on_disk else self._is_within_limit,
                mapped=not on_disk,
            )
        offset, serial = arena.write(layout)
        return number, offset, layout.size, serial

    def _copy_unleased(self, block: Block, readonly: bool) -> memoryview:
        arena, offset, size, _ = block
        fd = self._descriptor(arena)
        copied = _copy(fd, offset, size, readonly)
        # Who writes a block anew begins with what stands at its start.
        if os.pread(fd, _CHECKED, offset) != bytes(copied[:_CHECKED]):
            raise OSError(errno.ESTALE, "it was written anew meanwhile")
        return copied

    def _is_within_limit(self) -> bool:
        limit = self._shape.memory_limit
        return limit is None or sum(slot.used for slot in self._slots[: self._shape.owners]) <= limit

    def _descriptor(self, arena: int) -> int:
        owners = self._shape.owners
        if self._borrowed and arena < owners:
            return self._borrowed[arena]
        fd = self._fds.get(arena)
        if fd is None:
            is_own = arena % owners == self.number and self._home.is_here
            mode = os.O_RDWR | os.O_CREAT if is_own else os.O_RDONLY
            path = self._shape.arenas[arena] if arena < owners else self._spill.file(arena - owners)
            opened = os.open(path, mode | os.O_CLOEXEC, 0o600)
            fd = self._fds.setdefault(arena, opened)
            if fd != opened:  # another thread was quicker
                os.close(opened)
        return fd


def _always() -> bool:
    return True


def _copy(fd: int, offset: int, size: int, readonly: bool) -> memoryview:
    # A system reads no more than 2 GiB at a time.
    copied = memoryview(bytearray(size))
    done = 0
    while done < size:
        read = os.preadv(fd, [copied[done:]], offset + done)
        if not read:
            raise OSError(errno.EIO, "it ends early")
        done += read
    return copied.toreadonly() if readonly else copied
