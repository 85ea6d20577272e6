"""The worker's half: it writes large values to this process's arena and maps those of all arenas."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen

from kernel import serialise
from kernel.errors import DatasetError
from kernel_shared_memory import control, layout, system
from kernel_shared_memory.arena import Arena, part_of
from kernel_shared_memory.leases import Leases

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernel.specs.catalog import CopyMode, Handle

__all__ = ["Block", "Shape", "SharedMemoryStore", "is_block"]

#: Arena, offset and size in bytes, serial number: the handle of a value in shared memory.
Block = tuple[int, int, int, int]

#: A value of up to this many bytes travels inside its handle; above, writing and mapping a block is cheaper.
_INLINE = 64 * 1024


def is_block(handle: Handle) -> bool:
    """Say whether the handle is a block; all others hold their value themselves."""
    return isinstance(handle, tuple) and isinstance(cast("tuple[object, ...]", handle)[0], int)


@frozen
class Shape:
    """What every store of a run needs to know; it goes to each worker.

    The last of the `arenas` (paths of segments, of `arena_size` bytes each) and of the control segment's slots are the
    runner's own; the others are the workers', by their numbers. `place` says where they are, for messages.
    """

    control: str
    arenas: Sequence[str]
    arena_size: int
    place: str
    copy_modes: Mapping[str, CopyMode]


class SharedMemoryStore:
    """Loads and saves in one process, from any of its threads.

    A loaded value lies in a private mapping of its block: what its reader writes to it stays with the reader and costs a
    copy of the pages that are written. Under copy mode "readonly" the mapping and what lies in it refuse to be written.
    """

    def __init__(self, shape: Shape, prepared: dict[str, serialise.Dumped] | None = None) -> None:
        self._shape = shape
        # What the validation of free inputs serialised already, used once; it stays in the runner's process.
        self._prepared = prepared if prepared is not None else {}
        self._pid = 0
        self._number = -1
        self._lock = threading.Lock()
        self._fds: dict[int, int] = {}
        #: Descriptors of arenas that belong to the catalog.
        self._borrowed: Sequence[int] = ()
        self._arena: Arena | None = None

    def __reduce__(self) -> tuple[type[SharedMemoryStore], tuple[Shape]]:
        return type(self), (self._shape,)

    def open(self, worker: int) -> None:
        """Take over the slot of this worker; nothing happens in a process where the store is open already.

        Raises `DatasetError` when the runner's process cannot be reached or made no slot for that worker.
        """
        if self._pid == os.getpid():
            return
        if not 0 <= worker < self.workers:
            raise DatasetError(
                f"shared memory has room for {self.workers} workers: worker {worker} cannot use it"
            )
        self._enter(worker)

    @property
    def workers(self) -> int:
        """The number of workers that there are slots for."""
        return len(self._shape.arenas) - 1

    def open_in_runner(self, fds: Sequence[int]) -> None:
        """Take over the slot of the runner's own process, which has descriptors of all arenas."""
        self._enter(self.workers)
        self._borrowed = fds

    def forget_arenas(self) -> None:
        """Do without the arenas: only values that travel inside their handles can be loaded after this."""
        self._borrowed = ()
        self._pid = 0

    def close(self) -> None:
        """Let go of everything; values that were loaded stay valid."""
        if self._pid != os.getpid():
            return
        with self._lock:
            if self._arena is not None:
                self._arena.close()
                self._arena = None
            for fd in self._fds.values():
                os.close(fd)
            self._fds, self._borrowed = {}, ()
            self._prepared.clear()
            self._pid = 0

    def load(self, name: str, handle: Handle, last: bool = False) -> Any:  # noqa: ARG002 - every reader maps by itself
        """Return the value, over a mapping of its own; raises `DatasetError` when it is not there or cannot be rebuilt."""
        if type(handle) in serialise.PLAIN:
            return handle
        readonly = self._shape.copy_modes.get(name) == "readonly"
        if not is_block(handle):
            return serialise.load_inline(name, handle, readonly=readonly)
        serial: int = handle[3]
        try:
            view = self._map(name, handle, readonly)
        except OSError as error:
            raise DatasetError(
                f"{name}: its value in shared memory cannot be opened ({error.strerror}); has the runner's process ended?"
            ) from error
        stream, buffers = layout.read(name, view, serial)
        return serialise.load(name, stream, buffers)

    def save(self, name: str, data: Any) -> Handle:
        """Keep the value as it is now; raises `DatasetError` when it cannot be serialised or there is no room for it."""
        if type(data) in serialise.PLAIN:
            return data
        dumped = self._prepared.pop(name, None) or serialise.dump(name, data)
        if len(dumped) <= _INLINE:
            return dumped.inline()
        plan = layout.plan(dumped)
        try:
            with self._lock:
                offset, serial = self._own_arena(name).write(plan)
        except OSError as error:
            raise DatasetError(
                f"{name}: no room for its {plan.size:,} bytes in shared memory ({self._shape.place}): {error.strerror}. "
                f"Keep fewer large values at once, let catalog option 'directory' name a folder with more room, or "
                f"declare the dataset as a file."
            ) from error
        return (self._number, offset, plan.size, serial)

    def size(self, handle: Handle) -> int:
        """Say how many bytes of shared memory the value takes; 0 when it travels inside its handle."""
        return handle[2] if is_block(handle) else 0

    def discard(self, handle: Handle) -> None:
        """Drop a value that this store saved and nobody was told about."""
        if is_block(handle) and handle[0] == self._number and self._pid == os.getpid():
            with self._lock:
                if self._arena is not None:
                    self._arena.drop(part_of(handle[1], handle[2]))

    def _enter(self, number: int) -> None:
        try:
            fd = os.open(self._shape.control, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise DatasetError(
                f"shared memory of the run cannot be opened ({error.strerror}); has the runner's process ended?"
            ) from error
        try:
            words = control.map_control(fd, len(self._shape.arenas))
            self._slot = control.map_slot(words, number)
            with control.locked(fd, number):
                self._slot.take_over(os.getpid())
        finally:
            os.close(fd)
        # A process that was forked off another worker, or the runner, starts with nothing of theirs.
        self._lock = threading.Lock()
        self._fds, self._borrowed, self._arena = {}, (), None
        self._leases = Leases(self._slot)
        self._number, self._pid = number, os.getpid()

    def _is_mapped(self, part: control.Range) -> bool:
        return self._leases.holds(self._number, part)

    def _own_arena(self, name: str) -> Arena:
        if self._arena is None:
            self._arena = Arena(self._descriptor(name, self._number), self._shape.arena_size, self._slot, self._is_mapped)
        return self._arena

    def _descriptor(self, name: str, arena: int) -> int:
        if self._pid != os.getpid():
            raise DatasetError(f"{name}: its store is closed, or this process is no worker of the run")
        if self._borrowed:
            return self._borrowed[arena]
        fd = self._fds.get(arena)
        if fd is None:
            mode = os.O_RDWR if arena == self._number else os.O_RDONLY
            opened = os.open(self._shape.arenas[arena], mode | os.O_CLOEXEC)
            # Another thread may have been quicker.
            fd = self._fds.setdefault(arena, opened)
            if fd != opened:
                os.close(opened)
        return fd

    def _map(self, name: str, block: Block, readonly: bool) -> memoryview:
        arena, offset, size, _ = block
        fd = self._descriptor(name, arena)
        end = self._leases.take(arena, part_of(offset, size))
        if end is not None:
            try:
                return system.map_private(fd, offset, size, readonly, end)
            except OSError:  # as many mappings as the system allows: a copy does it, too
                end()
        return _copy(fd, offset, size, readonly)


def _copy(fd: int, offset: int, size: int, readonly: bool) -> memoryview:
    copied = memoryview(bytearray(size))
    done = 0
    while done < size:
        done += os.preadv(fd, [copied[done:]], offset + done)
    return copied.toreadonly() if readonly else copied
