"""The store for workers that are threads of the runner's process: a handle is the kept value itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel.values.copying import IMMUTABLE, keep
from kernel_memory.own import Own

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel.specs.catalog import CopyMode, Handle

__all__ = ["ReferenceStore"]


class ReferenceStore:
    """Keeps a value as it was at the save, and gives each reader one of its own (`kernel.values.copying`).

    It has no state beside the copy modes, so any number of threads may use it at once.
    """

    def __init__(self, copy_modes: Mapping[str, CopyMode]) -> None:
        self._modes = dict(copy_modes)

    def open(self, worker: int) -> None:
        """Nothing is to be made ready."""

    def close(self) -> None:
        """Nothing is held."""

    def load(self, name: str, handle: Handle, last: bool = False) -> Any:
        """Return a value of the reader's own, or what the copy mode says; raises `DatasetError` when it cannot be."""
        return handle if type(handle) in IMMUTABLE else handle.take(name, last)

    def save(self, name: str, data: Any) -> Handle:
        """Keep the value; raises `DatasetError` when that cannot be done."""
        return data if type(data) in IMMUTABLE else keep(data, self._modes.get(name), name)

    def take_over(self, name: str, data: Any) -> Handle:
        """Keep a value that nobody else has as it is; where the user chose a copy mode, as `save` does."""
        return self.save(name, data) if name in self._modes else Own(data)

    def size(self, handle: Handle) -> int:
        """Return 0: the value is its handle."""
        return 0

    def discard(self, handle: Handle) -> None:
        """Nothing is kept outside the handle."""
