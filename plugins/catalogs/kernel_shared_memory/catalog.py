"""The runner's half: it owns the segments and knows which value is where."""

from __future__ import annotations

import weakref
from itertools import filterfalse
from typing import TYPE_CHECKING, Any

from kernel import serialise
from kernel.errors import DatasetError, ValidationError
from kernel.specs.executor import Reach
from kernel_shared_memory.limits import parse_limit
from kernel_shared_memory.lineage import Lineage
from kernel_shared_memory.memory import Options
from kernel_shared_memory.shape import is_block
from kernel_shared_memory.store import SharedMemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from kernel.specs.catalog import CopyMode, Handle
    from kernel_shared_memory.memory import Memory
    from kernel_shared_memory.place import PlaceName
    from kernel_shared_memory.shape import Block

__all__ = ["SharedMemoryCatalog"]


class SharedMemoryCatalog:
    """Keeps large values in shared memory of this machine: written once, mapped by their readers, without a copy.

    There is one arena for each worker and one for the runner. A block of it is written anew when its value
    was released and no process has it mapped any more. Values of up to 64 KiB travel inside their handles.

    Each reader has a private mapping, so it may change its value freely (copy modes "copy", "deepcopy",
    "assign" and none at all make no difference); under "readonly" writing is refused. What pickle does not
    put into buffers, such as lists and strings, is rebuilt for each reader.

    Options:

    `place`: "memfd" for anonymous memory, the default where the system has it, or "directory" for files in a
    directory of the run, `kernel-<uid>-<random>`, which lies in /dev/shm if it can be written, else in the
    folder for temporary files. What a run that was killed left there is swept when the next one starts.
    `directory`: the folder to put that directory in; it implies `place="directory"`. It may lie on a disk.
    `memory_limit`: how much memory values may take, in bytes or as a text such as "2GB" or "50%" (of what machine and
    control group allow). By default half of that, or three quarters of what is free if that is less; none where
    `directory` is given. Further values go to files.
    `spill`: the folder for those files, by default the one for temporary files. They are mapped alike, and removed at
    the end; what a run that was killed left there is swept when the next one starts.
    """

    def __init__(
        self,
        *,
        place: PlaceName | None = None,
        directory: str | Path | None = None,
        memory_limit: int | str | None = None,
        spill: str | Path | None = None,
    ) -> None:
        self._lineage = Lineage(Options(place, directory, parse_limit(memory_limit), spill))
        #: Ends the claim of a catalog that was not opened yet on the memory of its predecessor.
        self._claim: weakref.finalize[..., SharedMemoryCatalog] | None = None
        self._handles: dict[str, Handle] = {}
        #: Those of the handles that are blocks: mostly few, for what is small travels inside its handle.
        self._blocks: dict[str, Block] = {}
        self._prepared: dict[str, serialise.Dumped] = {}
        self._store: SharedMemoryStore | None = None
        self._memory: Memory | None = None
        self._runs = False

    def successor(self) -> SharedMemoryCatalog:
        """Return the catalog of the next run: it goes on with this one's memory, and keeps it until it is closed."""
        heir = SharedMemoryCatalog()
        heir._lineage = self._lineage
        heir._claim = weakref.finalize(heir, self._lineage.give_up)
        self._lineage.expect()
        return heir

    def validate_catalog(
        self,
        names: Sequence[str],
        values: Mapping[str, Any],
        reach: Reach,
        readers: Mapping[str, Sequence[str]],
    ) -> None:
        """Raise one `ValidationError` with every free input that cannot be serialised, or for remote workers."""
        del names  # what nodes will make cannot be known before they run
        if reach is Reach.MACHINE:
            raise ValidationError(
                ["catalog 'shared_memory' cannot reach other machines; use catalog 'memory' with this executor"]
            )
        self._prepared = serialise.prepare(values, readers)

    def open(self, copy_modes: Mapping[str, CopyMode], reach: Reach, workers: int) -> SharedMemoryStore:
        """Set up an arena for each worker and one for the runner; no memory is taken before values are saved.

        Those of the run before are used again if there are enough.
        """
        del reach
        self._memory = self._lineage.memory_for(workers)
        self._runs = True
        self._store = SharedMemoryStore(self._memory.begin_run(self._blocks, copy_modes), self._prepared)
        self._store.open_in_runner(self._memory.presence)
        self._give_up_claim()
        return self._store

    def handle(self, name: str) -> Handle:
        """Return the handle of a value that was adopted; raises `DatasetError` when there is none."""
        try:
            return self._handles[name]
        except KeyError:
            raise DatasetError(f"{name}: no value in memory; it was never saved, or is released already") from None

    def adopt(self, names: Iterable[str], handles: Iterable[Handle]) -> None:
        """Take over what was saved; a handle that was there under the name is dropped.

        Take over what a dead worker told before it died first, then call `worker_lost`.
        """
        own, blocks, memory = self._handles, self._blocks, self._memory
        if not blocks and tuple not in set(map(type, handles := list(handles))):  # no block among them: most batches
            own.update(zip(names, handles, strict=True))
            return
        adopted: list[Block] = []
        superseded: list[Block] = []
        for name, handle in zip(names, handles, strict=True):
            own[name] = handle
            if not (blocks or is_block(handle)):
                continue
            before = blocks.pop(name, None)
            if before is not None and before != handle:
                superseded.append(before)
            if is_block(handle):
                blocks[name] = handle
                adopted.append(handle)
        if memory is not None and (adopted or superseded or memory.is_behind):
            memory.adopt(adopted, superseded)

    def release(self, names: Iterable[str]) -> None:
        """Drop values that nobody will read again."""
        names = tuple(names)
        for name in names:
            self._handles.pop(name, None)
        self._drop([self._blocks.pop(name) for name in names if name in self._blocks] if self._blocks else ())

    def discard(self, handles: Iterable[Handle]) -> None:
        """Drop values that were saved but are not wanted; what was dropped already is left alone."""
        if self._memory is not None:
            self._memory.discard([*filter(is_block, handles)])

    def worker_lost(self, worker: int) -> None:
        """End the dead worker's leases, and take back what it wrote and was not adopted."""
        if self._memory is not None and worker < self._memory.workers:
            self._memory.sweep(worker)

    def settle(self, keep: Iterable[str]) -> None:
        """Keep these values, drop all else and give its memory back to the system, unless a run may follow."""
        kept = set(keep)
        if kept:
            self.release([*filterfalse(kept.__contains__, self._handles)])
        else:  # as `release` does it for some, for all at once: there may be many thousands
            blocks = [*self._blocks.values()]
            self._handles.clear()
            self._blocks.clear()
            self._drop(blocks)
        self._prepared.clear()
        memory = self._memory
        if memory is None:
            return
        if self._runs:
            self._runs = False
            memory.end_run()
        if not self._blocks:
            self._memory = None
            memory.leave(self._blocks)
            if self._store is not None:
                self._store.close()

    def close(self) -> None:
        """Drop everything; values that were loaded stay valid."""
        self._give_up_claim()
        self.settle(())

    def memory_in_use(self) -> int:
        """Return the bytes of memory that the arenas take."""
        return self._memory.memory_in_use() if self._memory is not None else 0

    def _drop(self, blocks: Sequence[Block]) -> None:
        if self._memory is not None and (blocks or self._memory.is_behind):
            self._memory.drop(blocks)

    def _give_up_claim(self) -> None:
        if self._claim is not None:
            self._claim()
