"""Where segments live: in anonymous memory files where the system has them, else in a directory of this run."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

from kernel.errors import ConfigError
from kernel_shared_memory import directory, memfd

if TYPE_CHECKING:
    from kernel_shared_memory.segment import Segment

__all__ = ["Place", "PlaceName", "arena_size", "choose"]

PlaceName = Literal["memfd", "directory"]

#: An arena may grow to this many times the machine's memory: room for holes that are never filled again.
_TIMES_MEMORY = 4


class Place(Protocol):
    """Makes segments and removes them all at once."""

    def create(self, name: str, size: int) -> Segment:
        """Make a segment that takes no memory until it is written to; raises `OSError`."""
        ...

    def describe(self) -> str:
        """Say where segments are, for messages."""
        ...

    def close(self) -> None:
        """Remove every segment; the mappings of processes stay valid until they end. May be called twice."""
        ...


def choose(wanted: PlaceName | None, folder: str | Path | None) -> Place:
    """Return the place that was asked for, or the best there is; raises `ConfigError` for one that cannot be."""
    if folder is not None:
        if wanted not in {None, "directory"}:
            raise ConfigError(f"shared_memory: place={wanted!r} takes no directory; leave one of the two out")
        return _directory(Path(folder))
    if wanted not in {None, "memfd", "directory"}:
        raise ConfigError(f"shared_memory: place={wanted!r} is unknown; take 'memfd' or 'directory'")
    if wanted == "directory":
        return _directory(directory.default_folder())
    if memfd.is_usable():
        return memfd.MemfdPlace()
    if wanted == "memfd":
        raise ConfigError("shared_memory: place='memfd' does not work on this system; take 'directory'")
    return _directory(directory.default_folder())


def _directory(folder: Path) -> Place:
    try:
        return directory.DirectoryPlace(folder)
    except OSError as error:
        raise ConfigError(
            f"shared_memory: no directory can be made in {folder}: {error.strerror}. "
            f"Let catalog option 'directory' name a folder that exists and can be written."
        ) from error


def arena_size() -> int:
    """Return how many bytes an arena may grow to: far more than it ever uses, as only what is written takes memory."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    size = _TIMES_MEMORY * memory
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    return size if limit == resource.RLIM_INFINITY else min(size, limit)
