"""A run's folder in a file system of this machine, or in one that several machines share."""

from __future__ import annotations

import mmap
import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kernel_objects.packing import Part

__all__ = ["LocalFolder"]

#: From this size on an object is read into pages of its own, which go back to the system with it.
_OWN_PAGES = 1 << 18


class LocalFolder:
    """Objects as files, each written under another name first. The folder is made by the runner alone.

    All methods may be called from any thread; those that fail raise `OSError`.
    """

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def make(self) -> None:
        """Make the folder, readable by nobody else."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.mkdir(mode=0o700, exist_ok=True)

    def strangers(self, name: str) -> str:
        """Say who else owns, or may write, this folder or the object `name` in it; empty for nobody.

        Of the superuser nobody is safe anyway.
        """
        for path in (self._path, self._path / name):
            try:
                found = path.stat()
            except OSError:  # nobody's; reading it will say what is wrong
                return ""
            if found.st_uid not in {os.geteuid(), 0}:
                return f"belongs to another user (number {found.st_uid})"
            if path is self._path and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                return f"may be written by others (mode {stat.S_IMODE(found.st_mode):o})"
        return ""

    def write(self, name: str, parts: Sequence[Part]) -> None:
        """Write an object, whole or not at all."""
        partial = self._path / f".{name}.{secrets.token_hex(4)}"
        try:
            with partial.open("xb", buffering=0) as file:
                for part in parts:
                    left = memoryview(part).cast("B")
                    while left:  # a system writes no more than 2 GiB at a time
                        left = left[file.write(left) :]
            partial.rename(self._path / name)
        except BaseException:
            with suppress(OSError):  # the reason why it failed is what the caller must see
                partial.unlink()
            raise

    def read(self, name: str) -> memoryview:
        """Return an object's content in memory of the caller's own."""
        with (self._path / name).open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            memory = memoryview(mmap.mmap(-1, size) if size >= _OWN_PAGES else bytearray(size))
            done = 0
            while done < size:
                got = file.readinto(memory[done:])
                if not got:
                    raise OSError("the file is cut short")
                done += got
        return memory

    def names(self) -> list[str]:
        """List the objects; none where there is no folder."""
        try:
            return [name for name in os.listdir(self._path) if not name.startswith(".")]  # noqa: PTH208 - names alone
        except FileNotFoundError:
            return []

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; what is not there is left alone."""
        for name in names:
            (self._path / name).unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Remove the folder with all that is in it, if it is there."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self._path)

    def close(self) -> None:
        """Nothing is held open."""
