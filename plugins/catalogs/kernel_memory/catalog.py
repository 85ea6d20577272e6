"""The runner's half of the `memory` catalog: a table of handles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel.errors import DatasetError
from kernel.specs.executor import Reach
from kernel.values import pickling
from kernel_memory.pickles import PickleStore
from kernel_memory.references import ReferenceStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kernel.specs.catalog import CopyMode, Handle

__all__ = ["MemoryCatalog"]


class MemoryCatalog:
    """Keeps handles; each holds its whole value. It takes no options.

    To threads a handle is the kept value itself; to processes and machines its pickle, moved by the executor.
    """

    def __init__(self) -> None:
        self._handles: dict[str, Handle] = {}
        self._prepared: dict[str, pickling.Dumped] = {}

    def validate_catalog(
        self,
        names: Sequence[str],
        values: Mapping[str, Any],
        reach: Reach,
        readers: Mapping[str, Sequence[str]],
    ) -> None:
        """Raise one `ValidationError` with every free input that has to be serialised and cannot be."""
        del names  # what nodes will make cannot be known before they run
        if reach is not Reach.THREAD:
            self._prepared = pickling.prepare(values, readers)

    def open(self, copy_modes: Mapping[str, CopyMode], reach: Reach, workers: int) -> ReferenceStore | PickleStore:
        """Return the store for this reach."""
        del workers
        if reach is Reach.THREAD:
            return ReferenceStore(copy_modes)
        return PickleStore(copy_modes, self._prepared)

    def handle(self, name: str) -> Handle:
        """Return the handle of a value that was adopted; raises `DatasetError` when there is none."""
        try:
            return self._handles[name]
        except KeyError:
            raise DatasetError(f"{name}: no value in memory; it was never saved, or is released already") from None

    def adopt(self, names: Iterable[str], handles: Iterable[Handle]) -> None:
        """Take over what was saved; a handle that was there under the name is dropped."""
        self._handles.update(zip(names, handles, strict=True))

    def release(self, names: Iterable[str]) -> None:
        """Drop values that nobody will read again."""
        for name in names:
            self._handles.pop(name, None)

    def discard(self, handles: Iterable[Handle]) -> None:
        """Nothing is kept outside a handle."""

    def worker_lost(self, worker: int) -> None:
        """Nothing is left by a dead worker."""

    def settle(self, keep: Iterable[str]) -> None:
        """Keep these values, drop all else."""
        handles = self._handles
        self._handles = {name: handles[name] for name in keep if name in handles}
        self._prepared.clear()

    def close(self) -> None:
        """Drop everything."""
        self._handles.clear()
        self._prepared.clear()
