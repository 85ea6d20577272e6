"""The shared memory of a run, or of all runs of a runner that is kept warm, as the runner's process owns it."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import threading
import weakref
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, frozen

from kernel.errors import ConfigError
from kernel.processes import Home
from kernel_shared_memory import control, directory
from kernel_shared_memory.blocks import Blocks
from kernel_shared_memory.files import Files
from kernel_shared_memory.limits import allowed_memory, default_limit
from kernel_shared_memory.place import arena_size, choose
from kernel_shared_memory.presence import Presence
from kernel_shared_memory.shape import Block, Shape
from kernel_shared_memory.spill import Spill

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kernel.specs.catalog import CopyMode
    from kernel_shared_memory.place import Place, PlaceName
    from kernel_shared_memory.segment import Segment

__all__ = ["Memory", "Options"]

#: A warm runner keeps at most this share of the allowed memory idle between runs.
_IDLE_SHARE = 8


@frozen
class Options:
    """What the user asked for; `memory_limit` in bytes."""

    place: PlaceName | None
    directory: str | Path | None
    memory_limit: int | None
    spill: str | Path | None


class Memory:
    """Has an arena for each worker and one for the runner, and knows whose values lie there.

    Its users are catalogs. One may be closed by a finalizer, so at any moment and in any thread: what is to be done is
    queued, and done by whoever is at it already. `is_wanted` says whether a run may follow those that began. In a child
    that is forked it is not open, and nothing is done. Raises `ConfigError` when it cannot be set up.
    """

    def __init__(self, options: Options, workers: int, is_wanted: Callable[[], bool]) -> None:
        self.workers = workers
        self._is_wanted = is_wanted
        self._home = Home()
        #: The blocks of catalogs, by their ids: those that run, and those whose values somebody keeps.
        self._users: dict[int, Mapping[str, Block]] = {}
        self._running = 0
        self._tasks: deque[Callable[[], None]] = deque()
        self._busy = threading.Lock()
        place, self._spill = choose(options.place, options.directory), Spill(_spill_path(options))
        segments: list[Segment] = []
        self._remove = weakref.finalize(self, _remove_all, self._home, segments, place, self._spill)
        try:
            _create(place, segments, workers + 1)
        except OSError as error:
            self._remove()
            raise ConfigError(
                f"shared_memory: cannot be set up for {workers} workers in {place.describe()}: {error.strerror}. "
                f"Use fewer workers, or let option 'directory' name another folder."
            ) from error
        ground, *arenas = segments
        limit = default_limit() if options.memory_limit is None and options.directory is None else options.memory_limit
        self._idle = min(allowed_memory() // _IDLE_SHARE, sys.maxsize if limit is None else limit)
        paths = [segment.path for segment in arenas]
        self._shape = Shape(
            os.urandom(8).hex(), ground.path, paths, arenas[0].size, limit, self._spill.path, place.describe()
        )
        self._files = Files(ground, arenas, self._spill)
        words = control.map_control(ground.fd, 2 * len(arenas))
        slots = [control.map_slot(words, number) for number in range(2 * len(arenas))]
        self._blocks = Blocks(slots, len(arenas), self._files, None if limit is None else limit * 3 // 4)
        self.presence = Presence(self._shape, workers, [segment.fd for segment in arenas])

    @property
    def is_open(self) -> bool:
        """Whether values can be kept here."""
        return self._remove.alive and self._home.is_here

    @property
    def is_behind(self) -> bool:
        """Whether there are blocks that may have become free to be written anew by now."""
        return self._blocks.is_behind or bool(self._tasks)

    def begin_run(self, blocks: Mapping[str, Block], copy_modes: Mapping[str, CopyMode]) -> Shape:
        """Take a user with these blocks, whose run begins; return what its stores need to know."""
        self._users[id(blocks)] = blocks
        self._running += 1
        self._do(self._blocks.resume)
        self.presence.tidy()
        return evolve(self._shape, warm=self._is_wanted(), copy_modes=dict(copy_modes))

    def adopt(self, blocks: Sequence[Block], superseded: Sequence[Block]) -> None:
        """Take note of blocks that are somebody's, and then drop others."""
        if self.is_open and any(block[0] > self.workers for block in blocks):
            with contextlib.suppress(OSError):  # if the folder is gone, so is the value: its reader will say so
                self._spill.join()

        def adopt() -> None:
            self._blocks.adopt(blocks)
            self._blocks.drop(superseded)

        self._do(adopt)

    def drop(self, blocks: Sequence[Block]) -> None:
        """Take blocks that nobody will load again, and see which can be written anew by now."""
        self._do(lambda: self._blocks.drop(blocks))

    def discard(self, blocks: Sequence[Block]) -> None:
        """Take blocks that nobody adopted."""
        self._do(lambda: self._blocks.discard(blocks))

    def sweep(self, worker: int) -> None:
        """End a dead worker's leases, and take back what it wrote and nobody has."""
        self._do(lambda: self._blocks.sweep(worker))

    def end_run(self) -> None:
        """Note that a user's run is over: nobody writes any more, workers are gone or idle."""
        self._running -= 1
        self.tidy()

    def leave(self, blocks: Mapping[str, Block]) -> None:
        """Note that a user is gone, and nobody will load its values again."""

        def leave() -> None:
            self._users.pop(id(blocks), None)
            self._blocks.drop(blocks.values())

        self._do(leave)
        self.tidy()

    def tidy(self) -> None:
        """Between runs, give back what nobody needs; close when nobody needs anything."""
        self._do(self._tidy)

    def memory_in_use(self) -> int:
        """Return the bytes of memory that the arenas take."""
        return self._files.memory_in_use() if self.is_open else 0

    def _tidy(self) -> None:
        if self._running:
            return
        wanted = self._is_wanted()
        self._blocks.settle(self._idle if wanted else 0)
        if not self._users and not wanted:
            self.presence.close()
            self._remove()

    def _do(self, task: Callable[[], None]) -> None:
        self._tasks.append(task)
        while self._tasks and self._busy.acquire(blocking=False):
            try:
                while self._tasks and self.is_open:
                    self._tasks.popleft()()
                    if self.is_open:
                        self._blocks.flush()
                if not self.is_open:
                    self._tasks.clear()
            finally:
                self._busy.release()


def _spill_path(options: Options) -> str:
    folder = Path(options.spill or tempfile.gettempdir())
    if options.spill is not None and not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigError(f"shared_memory: option 'spill' names {folder}, which is no folder that can be written")
    directory.sweep(folder)
    return str(folder.absolute() / f"{directory.prefix()}{os.urandom(8).hex()}")


def _create(place: Place, segments: list[Segment], arenas: int) -> None:
    size = control.size_of(2 * arenas)
    segments.append(place.create("control", size))
    # Written, not left as a hole: a full file system shall be an error now and not a SIGBUS later.
    os.pwrite(segments[0].fd, bytes(size), 0)
    room = arena_size()
    segments.extend(place.create(f"arena-{number}", room) for number in range(arenas))


def _remove_all(home: Home, segments: Sequence[Segment], place: Place, spill: Spill) -> None:
    """Close the descriptors of segments and remove them, unless this process was forked off the one that made them."""
    if not home.is_here:
        return
    for segment in segments:
        os.close(segment.fd)
    place.close()
    spill.remove()
