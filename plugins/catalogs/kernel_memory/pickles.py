"""The store for workers in other processes or on other machines: a handle is a pickle or a plain value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel.values import pickling

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel.specs.catalog import CopyMode, Handle

__all__ = ["PickleStore"]


class PickleStore:
    """Serialises at the save; each reader rebuilds a value of its own. `marshal` can carry every handle."""

    def __init__(self, copy_modes: Mapping[str, CopyMode], prepared: dict[str, pickling.Dumped]) -> None:
        self._modes = dict(copy_modes)
        # What the validation of free inputs serialised already, used once; it stays in the runner's process.
        self._prepared = prepared

    def __getstate__(self) -> Mapping[str, CopyMode]:
        return self._modes

    def __setstate__(self, modes: Mapping[str, CopyMode]) -> None:
        self._modes = dict(modes)
        self._prepared = {}

    def open(self, worker: int) -> None:
        """Nothing is to be made ready."""

    def close(self) -> None:
        """Nothing is held."""

    def load(self, name: str, handle: Handle, last: bool = False) -> Any:
        """Rebuild the value; under copy mode "readonly" an array comes read-only. Raises `DatasetError`."""
        if type(handle) in pickling.PLAIN:
            return handle
        return pickling.load_inline(name, handle, readonly=self._modes.get(name) == "readonly")

    def save(self, name: str, data: Any) -> Handle:
        """Serialise the value; raises `DatasetError` when it cannot be."""
        if type(data) in pickling.PLAIN:
            return data
        dumped = self._prepared.pop(name, None) or pickling.dump(name, data)
        return dumped.inline()

    def size(self, handle: Handle) -> int:
        """Return 0: the value travels inside its handle."""
        return 0

    def discard(self, handle: Handle) -> None:
        """Nothing is kept outside the handle."""
