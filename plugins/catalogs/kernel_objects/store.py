"""The worker's half: it writes large values to the run's folder and reads them from there."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from kernel.errors import DatasetError
from kernel.processes import Home
from kernel.values import pickling
from kernel_objects.handles import Assigned, address_of, is_object, new_name
from kernel_objects.packing import pack, unpack

if TYPE_CHECKING:
    from kernel.specs.catalog import CopyMode, Handle
    from kernel_objects.handles import Object
    from kernel_objects.place import Folder, Place

__all__ = ["ObjectsStore"]


class ObjectsStore:
    """Loads and saves in one process, from any of its threads. The file system is looked up at the first need.

    Values of up to `above` bytes travel inside their handles. `shares`: readers are threads of this process, and copy
    mode "assign" gives them the very object.
    """

    def __init__(
        self,
        place: Place,
        run: str,
        above: int,
        copy_modes: Mapping[str, CopyMode],
        *,
        shares: bool = False,
        prepared: dict[str, pickling.Dumped] | None = None,
    ) -> None:
        self._place = place
        self._run = run
        self._above = above
        self._modes = dict(copy_modes)
        self._shares = shares
        # What the validation of free inputs serialised already, used once; it stays in the runner's process.
        self._prepared = prepared if prepared is not None else {}
        self._lock = threading.Lock()
        self._folder: Folder | None = None
        self._home = Home()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._place, self._run, self._above, self._modes)

    def open(self, worker: int) -> None:
        """Nothing is to be made ready: most workers of small values never look for the place."""

    def close(self) -> None:
        """Let go of the file system."""
        folder, self._folder = self._folder, None
        if folder is not None and self._home.is_here:
            folder.close()

    def load(self, name: str, handle: Handle, last: bool = False) -> Any:
        """Rebuild the value in memory of the reader's own; under copy mode "readonly" arrays come read-only.

        Raises `DatasetError`, also when the object is gone.
        """
        if type(handle) in pickling.PLAIN:
            return handle
        if type(handle) is Assigned:
            return handle.value
        readonly = self._modes.get(name) == "readonly"
        if is_object(handle):
            return unpack(name, self._read(name, handle), readonly=readonly)
        return pickling.load_inline(name, handle, readonly=readonly)

    def save(self, name: str, data: Any) -> Handle:
        """Keep the value as it is now; raises `DatasetError` when it cannot be serialised or written."""
        if type(data) in pickling.PLAIN and not (type(data) is str and len(data) > self._above):
            return data
        if self._shares and self._modes.get(name) == "assign":
            return Assigned(data)
        dumped = self._prepared.pop(name, None) or pickling.dump(name, data)
        if self._above and len(dumped) <= self._above:
            return dumped.inline()
        parts = pack(dumped)
        made, size = new_name(parts), sum(memoryview(part).nbytes for part in parts)
        try:
            self._here().write(made, parts)
        except Exception as error:  # a file system raises anything
            failure = DatasetError(
                f"{name}: its {size:,} bytes cannot be written to {self._place.shown(self._run)}: "
                f"{self._place.told(error)}"
            )
        else:
            return made, size
        raise failure  # out here, since the cause may tell a secret

    def size(self, handle: Handle) -> int:
        """Say how many bytes the object takes; 0 when the value travels inside its handle."""
        return handle[1] if is_object(handle) else 0

    def discard(self, handle: Handle) -> None:
        """Drop a value that this store saved and nobody was told about; what cannot be dropped goes with the run."""
        if not is_object(handle):
            return
        try:
            self._here().remove([handle[0]])
        except Exception:  # a file system raises anything, and this is no reason to fail a node
            return

    def _read(self, name: str, handle: Object) -> memoryview:
        try:
            memory = self._find(handle)
        except FileNotFoundError:
            where = self._place.shown(self._run)
            failure = DatasetError(f"{name}: its value is not in {where} any more; who removed it while it was needed?")
        except Exception as error:  # a file system raises anything
            told = self._place.told(error)
            failure = DatasetError(f"{name}: its value cannot be read from {self._place.shown(self._run)}: {told}")
        else:
            if len(memory) == handle[1]:
                return memory
            failure = DatasetError(f"{name}: its object has {len(memory):,} bytes of {handle[1]:,}")
        raise failure  # out here, since the cause may tell a secret

    def _find(self, handle: Object) -> memoryview:
        """Read the object, or the one of an equal value that the runner kept in its place."""
        folder = self._here()
        try:
            return folder.read(handle[0])
        except FileNotFoundError:
            address = address_of(handle[0])
            for equal in folder.names():
                if address_of(equal) == address:
                    with suppress(FileNotFoundError):  # one more that was not kept, and went meanwhile
                        return folder.read(equal)
            raise

    def _here(self) -> Folder:
        """Return the folder as this process sees it: what a fork brought along is not used."""
        if not self._home.is_here:  # the lock, too, may be somebody's who is not here
            self._folder, self._lock, self._home = None, threading.Lock(), Home()
        with self._lock:
            if self._folder is None:
                self._folder = self._place.folder(self._run)
            return self._folder
