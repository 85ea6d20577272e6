"""Files of this machine: a save is a new file that takes the old one's place once it is whole and on disk."""

from __future__ import annotations

import os
import secrets
import stat
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from kernel_files import locks
from kernel_files.partial import is_partial, partial_name

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["LocalFiles"]

#: Seconds between two looks, in one process, for what killed savers left in a folder.
_SWEEP_INTERVAL = 60.0
#: Seconds after which a partial file is taken for abandoned where no lock can tell.
_ABANDONED_AFTER = 24 * 3600.0


class LocalFiles:
    """Reads and writes files of this machine.

    A saver holds a lock on its partial file for as long as it lives. A save to a folder removes the partial
    files there that nobody holds (at most once a minute and process); where the file system knows no locks,
    those that were not written to for a day.
    """

    def __init__(self) -> None:
        self._swept: dict[Path, float] = {}

    @contextmanager
    def reading(self, path: str) -> Generator[IO[bytes]]:
        """Open a file to be read."""
        with Path(path).open("rb") as file:
            yield file

    @contextmanager
    def writing(self, path: str, *, new: bool) -> Generator[IO[bytes]]:
        """Open a file that becomes the one at `path` when the block ends well, and is gone when it does not.

        Folders are made where they are missing; an old file's permissions are kept, and a link is followed.
        With `new`, raises `FileExistsError` when there is a file already.
        """
        target = Path(path).resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        self._sweep(target.parent)
        partial, descriptor = _create(target)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                _publish(partial, target, new=new)  # the lock is held until it has its name
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        _sync_folder(target.parent)

    def exists(self, path: str) -> bool:
        """Say whether there is a file, or a folder."""
        return Path(path).exists()

    def children(self, path: str) -> list[str]:
        """Return the names in a folder; none when there is no such folder."""
        try:
            return [child.name for child in Path(path).iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def forget(self, path: str) -> None:
        """Do nothing: what is known of files here is never cached."""

    def _sweep(self, folder: Path) -> None:
        now = time.monotonic()
        if now - self._swept.get(folder, -_SWEEP_INTERVAL) < _SWEEP_INTERVAL:
            return
        self._swept[folder] = now
        with os.scandir(folder) as entries:
            found = [Path(entry.path) for entry in entries if is_partial(entry.name)]
        for path in found:
            with suppress(OSError):  # another saver sweeps too, or it is not ours to remove: the save goes on
                _remove_abandoned(path)


def _create(target: Path) -> tuple[Path, int]:
    """Create and lock a new partial file beside the target, as readable as the file that it will replace."""
    while True:
        partial = target.with_name(partial_name(target.name, secrets.token_hex(4)))
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            with suppress(FileNotFoundError):
                os.fchmod(descriptor, stat.S_IMODE(target.stat().st_mode))
            locks.hold(descriptor)
            if os.fstat(descriptor).st_nlink:  # else a sweeper came before the lock, and removed it
                return partial, descriptor
        except BaseException:
            os.close(descriptor)
            partial.unlink(missing_ok=True)
            raise
        os.close(descriptor)


def _publish(partial: Path, target: Path, *, new: bool) -> None:
    if not new:
        partial.replace(target)
        return
    try:
        target.hardlink_to(partial)  # unlike a rename, fails when the file is there
    except FileExistsError:
        raise
    except OSError:  # a file system without links: two savers of one version at one instant are not told apart
        if target.exists():
            raise FileExistsError(target) from None
        partial.replace(target)
    else:
        partial.unlink()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        held = locks.is_held(descriptor)
        if held is None:
            held = time.time() - os.fstat(descriptor).st_mtime < _ABANDONED_AFTER
        if not held:
            path.unlink()
    finally:
        os.close(descriptor)
