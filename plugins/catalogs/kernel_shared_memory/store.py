"""The worker's half: it writes large values to this process's arena and maps those of all arenas."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from kernel import serialise
from kernel.errors import DatasetError
from kernel_shared_memory import layout
from kernel_shared_memory.presence import enter
from kernel_shared_memory.shape import is_block

if TYPE_CHECKING:
    from kernel.specs.catalog import Handle
    from kernel_shared_memory.presence import Presence
    from kernel_shared_memory.shape import Shape

__all__ = ["SharedMemoryStore"]

#: A value of up to this many bytes travels inside its handle; above, writing and mapping a block is cheaper.
_INLINE = 64 * 1024
_CLOSED = "{}: its store is closed, or this process is no worker of the run"


class SharedMemoryStore:
    """Loads and saves in one process, from any of its threads.

    A loaded value lies in a private mapping of its block: what its reader writes to it stays with the reader,
    and costs a copy of the pages that are written. Under copy mode "readonly" writing is refused.
    """

    def __init__(self, shape: Shape, prepared: dict[str, serialise.Dumped] | None = None) -> None:
        self._shape = shape
        # What the validation of free inputs serialised already, used once; it stays in the runner's process.
        self._prepared = prepared if prepared is not None else {}
        self._presence: Presence | None = None

    def __reduce__(self) -> tuple[type[SharedMemoryStore], tuple[Shape]]:
        return type(self), (self._shape,)

    @property
    def workers(self) -> int:
        """The number of workers that there are slots for."""
        return self._shape.owners - 1

    def open(self, worker: int) -> None:
        """Take over the slot of this worker; nothing happens in a process where the store is open already.

        Raises `DatasetError` when there is no slot for that worker or the runner's process has ended.
        """
        if self._presence is not None and self._presence.is_here:
            return
        if not 0 <= worker < self.workers:
            raise DatasetError(f"shared memory has room for {self.workers} workers: worker {worker} cannot use it")
        try:
            self._presence = enter(self._shape, worker)
        except OSError as error:
            raise DatasetError(
                f"shared memory of the run cannot be opened ({error.strerror}); has the runner's process ended?"
            ) from error

    def open_in_runner(self, presence: Presence) -> None:
        """Be at work in the runner's own process, which has a presence already."""
        self._presence = presence

    def close(self) -> None:
        """Let go of everything; values that were loaded stay valid, and small ones can still be loaded."""
        self._prepared.clear()
        if self._presence is not None:
            self._presence.leave()
            self._presence = None

    def load(self, name: str, handle: Handle, last: bool = False) -> Any:
        """Return the value over a mapping of its own; raises `DatasetError` when it is not there any more."""
        if type(handle) in serialise.PLAIN:
            return handle
        readonly = self._shape.copy_modes.get(name) == "readonly"
        if not is_block(handle):
            return serialise.load_inline(name, handle, readonly=readonly)
        presence = self._presence
        if presence is None or not presence.can_read:
            raise DatasetError(_CLOSED.format(name))
        try:
            view = presence.map(handle, readonly)
        except OSError as error:
            raise DatasetError(
                f"{name}: its value in shared memory cannot be opened ({error.strerror}); "
                f"has the runner's process ended?"
            ) from error
        stream, buffers = layout.read(name, view, handle[3])
        return serialise.load(name, stream, buffers)

    def save(self, name: str, data: Any) -> Handle:
        """Keep the value as it is now; raises `DatasetError` when it cannot be serialised or has no room."""
        if type(data) in serialise.PLAIN:
            return data
        dumped = self._prepared.pop(name, None) or serialise.dump(name, data)
        if len(dumped) <= _INLINE:
            return dumped.inline()
        presence, plan = self._here(name), layout.plan(dumped)
        try:
            return presence.write(plan)
        except OSError as error:
            raise DatasetError(self._no_room(name, plan.size, error)) from error

    def size(self, handle: Handle) -> int:
        """Say how many bytes of shared memory the value takes; 0 when it travels inside its handle."""
        return handle[2] if is_block(handle) else 0

    def discard(self, handle: Handle) -> None:
        """Drop a value that this store saved and nobody was told about."""
        if is_block(handle):
            self._here("a discarded value").drop(handle)

    def _no_room(self, name: str, size: int, error: OSError) -> str:
        limit = self._shape.memory_limit
        limited = "" if limit is None else f", of which values may take {limit:,} bytes"
        return (
            f"{name}: no room for its {size:,} bytes in shared memory ({self._shape.place}{limited}) and in the spill "
            f"folder {os.path.dirname(self._shape.spill)}: {error.strerror or error}. "  # noqa: PTH120 - it is a string
            f"Let catalog option 'spill' name a folder with more room, keep fewer large values at once, or declare the "
            f"dataset as a file."
        )

    def _here(self, name: str) -> Presence:
        if self._presence is None or not self._presence.is_here:
            raise DatasetError(_CLOSED.format(name))
        return self._presence
