"""The store for workers that are threads of the runner's process: a handle is the kept value itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel.values.copying import IMMUTABLE, copy_value, lock_array, mode_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel.specs.catalog import CopyMode, Handle

__all__ = ["ReferenceStore"]


class ReferenceStore:
    """Keeps a copy made at the save, and gives each reader a copy of that; the last one gets the kept one.

    It has no state beside the copy modes, so any number of threads may use it at once.
    """

    def __init__(self, copy_modes: Mapping[str, CopyMode]) -> None:
        self._modes = dict(copy_modes)

    def open(self, worker: int) -> None:
        """Nothing is to be made ready."""

    def close(self) -> None:
        """Nothing is held."""

    def load(self, name: str, handle: Handle, last: bool = False) -> Any:
        """Return a copy of the kept value, or the kept value to its last reader or under copy mode "assign".

        Under copy mode "readonly" an array comes as a read-only view; what cannot be locked is copied.
        """
        if type(handle) in IMMUTABLE:
            return handle
        mode = self._modes.get(name)
        if mode == "readonly":
            locked = lock_array(handle)
            if locked is not None:
                return locked
            mode = None
        if last:
            return handle
        return copy_value(handle, mode or mode_of(handle), name)

    def save(self, name: str, data: Any) -> Handle:
        """Copy the value; raises `DatasetError` when it cannot be copied."""
        if type(data) in IMMUTABLE:
            return data
        mode = self._modes.get(name)
        if mode is None or mode == "readonly":
            mode = mode_of(data)
        kept = copy_value(data, mode, name)
        if self._modes.get(name) == "readonly" and lock_array(kept) is not None:
            kept.flags.writeable = False
        return kept

    def size(self, handle: Handle) -> int:
        """Return 0: the value is its handle."""
        return 0

    def discard(self, handle: Handle) -> None:
        """Nothing is kept outside the handle."""
