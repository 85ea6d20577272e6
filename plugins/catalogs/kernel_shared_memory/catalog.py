"""The runner's half: it owns the segments and knows which value is where."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any

from kernel import serialise
from kernel.errors import ConfigError, DatasetError, ValidationError
from kernel.specs.executor import Reach
from kernel_shared_memory import control
from kernel_shared_memory.blocks import Blocks
from kernel_shared_memory.place import arena_size, choose, close_all
from kernel_shared_memory.shape import Shape, is_block
from kernel_shared_memory.store import SharedMemoryStore

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from kernel.specs.catalog import CopyMode, Handle
    from kernel_shared_memory.place import Place, PlaceName
    from kernel_shared_memory.segment import Segment

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
    """

    def __init__(self, *, place: PlaceName | None = None, directory: str | Path | None = None) -> None:
        self._options = place, directory
        self._handles: dict[str, Handle] = {}
        self._prepared: dict[str, serialise.Dumped] = {}
        self._store: SharedMemoryStore | None = None
        self._blocks: Blocks | None = None
        self._remove: weakref.finalize[..., SharedMemoryCatalog] | None = None

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
        """Set up an arena for each worker and one for the runner; no memory is taken before values are saved."""
        del reach
        place = choose(*self._options)
        segments: list[Segment] = []
        self._remove = weakref.finalize(self, close_all, os.getpid(), segments, place)
        try:
            arenas = self._create(place, segments, workers + 1)
        except OSError as error:
            self._remove()
            raise ConfigError(
                f"shared_memory: cannot be set up for {workers} workers in {place.describe()}: {error.strerror}. "
                f"Use fewer workers, or let option 'directory' name another folder."
            ) from error
        paths = [segment.path for segment in arenas]
        shape = Shape(segments[0].path, paths, arenas[0].size, place.describe(), dict(copy_modes))
        words = control.map_control(segments[0].fd, len(arenas))
        slots = [control.map_slot(words, number) for number in range(len(arenas))]
        fds = [segment.fd for segment in arenas]
        self._blocks = Blocks(slots, fds, segments[0].fd)
        self._store = SharedMemoryStore(shape, self._prepared)
        self._store.open_in_runner(fds)
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
        for name, handle in zip(names, handles, strict=True):
            superseded = self._handles.get(name)
            if superseded is not None and superseded != handle:
                self._drop(superseded)
            self._handles[name] = handle
        self._flush()

    def release(self, names: Iterable[str]) -> None:
        """Drop values that nobody will read again."""
        for name in names:
            self._drop(self._handles.pop(name, None))
        self._flush()

    def discard(self, handles: Iterable[Handle]) -> None:
        """Drop values that were saved but are not wanted; what was dropped already is left alone."""
        for handle in handles:
            if self._blocks is not None and is_block(handle):
                self._blocks.discard(handle)
        self._flush()

    def worker_lost(self, worker: int) -> None:
        """End the dead worker's leases, and take back what it wrote and was not adopted."""
        if self._blocks is not None and self._store is not None and worker < self._store.workers:
            self._blocks.sweep(worker, filter(is_block, self._handles.values()))
        self._flush()

    def settle(self, keep: Iterable[str]) -> None:
        """Keep these values, drop all else and give its memory back to the system."""
        handles = self._handles
        self._handles = {name: handles[name] for name in keep if name in handles}
        self._prepared.clear()
        if self._blocks is not None:
            blocks = list(filter(is_block, self._handles.values()))
            self._blocks.settle(blocks)
            if not blocks:
                self._close_segments()

    def close(self) -> None:
        """Drop everything; values that were loaded stay valid."""
        self.settle(())

    def memory_in_use(self) -> int:
        """Return the bytes of memory that the arenas take."""
        return self._blocks.memory_in_use() if self._blocks is not None else 0

    def _create(self, place: Place, segments: list[Segment], arenas: int) -> list[Segment]:
        size = control.size_of(arenas)
        segments.append(place.create("control", size))
        # Written, not left as a hole: a full file system shall be an error now and not a SIGBUS later.
        os.pwrite(segments[0].fd, bytes(size), 0)
        room = arena_size()
        segments.extend(place.create(f"arena-{number}", room) for number in range(arenas))
        return segments[1:]

    def _drop(self, handle: Handle) -> None:
        if self._blocks is not None and is_block(handle):
            self._blocks.drop(handle)

    def _flush(self) -> None:
        if self._blocks is not None:
            self._blocks.flush()

    def _close_segments(self) -> None:
        self._blocks = None
        if self._store is not None:
            self._store.close()
        if self._remove is not None:
            self._remove()
