"""Files elsewhere, by way of fsspec: a save is a new key that is moved to its place once it is whole."""

from __future__ import annotations

import posixpath
import secrets
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any

from kernel_files.library import library
from kernel_files.partial import partial_name

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

__all__ = ["RemoteFiles"]


class RemoteFiles:
    """Reads and writes files on one file system of fsspec; `options` are its own, credentials among them.

    What a killed saver leaves has a recognisable name and is not removed: nothing tells there whether it
    lives.
    """

    def __init__(self, protocol: str, options: Mapping[str, Any]) -> None:
        self._fs = library("fsspec").filesystem(protocol, **options)

    @contextmanager
    def reading(self, path: str) -> Generator[IO[bytes]]:
        """Open a file to be read."""
        with self._fs.open(path, "rb") as file:
            yield file

    @contextmanager
    def writing(self, path: str, *, new: bool) -> Generator[IO[bytes]]:
        """Open a file that becomes the one at `path` when the block ends well, and is gone when it does not.

        With `new`, raises `FileExistsError` when there is a file already.
        """
        folder, name = posixpath.split(self._fs._strip_protocol(path))  # noqa: SLF001 - fsspec offers no other way
        if new and self._fs.exists(path):
            raise FileExistsError(path)
        self._fs.makedirs(folder, exist_ok=True)
        partial = posixpath.join(folder, partial_name(name, secrets.token_hex(4)))
        try:
            with self._fs.open(partial, "wb") as file:
                yield file
            self._fs.mv(partial, posixpath.join(folder, name))
        except BaseException:
            with suppress(Exception):  # the reason why the save failed is what the caller must see
                self._fs.rm(partial)
            raise
        finally:
            self._fs.invalidate_cache()

    def exists(self, path: str) -> bool:
        """Say whether there is a file, or a folder."""
        return bool(self._fs.exists(path))

    def children(self, path: str) -> list[str]:
        """Return the names in a folder; none when there is no such folder."""
        try:
            found: list[str] = self._fs.ls(path, detail=False)
        except (FileNotFoundError, NotADirectoryError):
            return []
        return [posixpath.basename(each.rstrip("/")) for each in found]

    def forget(self, path: str) -> None:
        """Drop what fsspec has cached of the folder in which `path` is."""
        self._fs.invalidate_cache(posixpath.dirname(self._fs._strip_protocol(path)))  # noqa: SLF001 - as above
