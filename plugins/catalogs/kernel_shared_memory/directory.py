"""Segments as files in a directory of this run, whose owner holds a lock; who finds one without owner sweeps it."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from kernel.errors import ConfigError
from kernel.processes import Home
from kernel_shared_memory.segment import Segment
from kernel_shared_memory.spill import OWNER

__all__ = ["DirectoryPlace", "default_folder", "prefix", "sweep"]

#: A directory without an owner file is being made, or its maker died then: after this many seconds, the
#: latter.
_UNOWNED_FOR = 3600.0


def default_folder() -> Path:
    """Return the system's folder for shared memory if this user can write there, else the one for temporary files.

    Raises ConfigError where there is neither.
    """
    shared = Path("/dev/shm")  # noqa: S108 - the directories in it are made by mkdtemp
    if os.access(shared, os.W_OK | os.X_OK):
        return shared
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise ConfigError(
            f"values need a place that processes share, and this system gives none: memfd_create is refused, {shared} "
            f"cannot be written, nor can any folder for temporary files. Set TMPDIR to a folder that can be written "
            f"to, or use the executor 'threads'"
        ) from error


class DirectoryPlace:
    """A directory, mode 0700, in `folder`; making one sweeps those that dead runs of this user left there.

    Raises `OSError` when the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        sweep(folder)
        self._path = Path(tempfile.mkdtemp(prefix=prefix(), dir=folder))
        self._home = Home()
        # Locked before it has its name: an owner file that can be locked has lost its owner.
        draft = self._path / f"{OWNER}.new"
        try:
            self._owner: int | None = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._owner, fcntl.LOCK_EX)
            draft.rename(self._path / OWNER)
        except OSError:
            shutil.rmtree(self._path, ignore_errors=True)
            raise

    def create(self, name: str, size: int) -> Segment:
        """Make a segment that takes no memory until it is written to; raises `OSError`."""
        path = self._path / name
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            os.ftruncate(fd, size)
        except OSError:
            os.close(fd)
            raise
        return Segment(fd, str(path), size)

    def describe(self) -> str:
        """Say where segments are, for messages."""
        return str(self._path.parent)

    def close(self) -> None:
        """Remove the directory, unless it is that of another process; mappings stay valid until they end."""
        if self._owner is None or not self._home.is_here:
            return
        shutil.rmtree(self._path, ignore_errors=True)
        os.close(self._owner)
        self._owner = None


def prefix() -> str:
    """Return how the names of this user's directories begin."""
    return f"kernel-{os.getuid()}-"


def sweep(folder: Path) -> None:
    """Remove what dead runs of this user left in the folder."""
    start = prefix()
    # Another run may sweep or end at the same moment: what is gone already needs no sweeping.
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(start) and entry.is_dir(follow_symlinks=False):
                with contextlib.suppress(OSError):
                    _sweep_one(Path(entry.path))


def _sweep_one(path: Path) -> None:
    if path.stat().st_uid != os.getuid():
        return
    try:
        owner = os.open(path / OWNER, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        if time.time() - path.stat().st_mtime > _UNOWNED_FOR:
            shutil.rmtree(path, ignore_errors=True)
        return
    try:
        # Raises when it has an owner. Held while it is removed, so that nobody takes it for his own meanwhile.
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(owner)
