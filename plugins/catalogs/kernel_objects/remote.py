"""A run's folder elsewhere, by way of fsspec: in an object store, or on a server."""

from __future__ import annotations

import secrets
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kernel_objects.packing import Part

__all__ = ["RemoteFolder"]

#: Where a put is whole or nothing by itself; elsewhere an object is written under another name and moved.
_WHOLE_PUTS = frozenset({"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oci", "oss", "memory"})


class RemoteFolder:
    """Objects in one folder, or under one prefix, of a file system of fsspec; `options` are that file system's.

    All methods may be called from any thread; those that fail raise whatever the file system does.
    """

    def __init__(self, protocol: str, url: str, options: Mapping[str, Any]) -> None:
        fsspec: Any = import_module("fsspec")  # only who puts values elsewhere needs it
        _leave_the_thread_of_a_fork()
        # Listings that were kept would not show what other processes write.
        self._fs: Any = fsspec.filesystem(protocol, **{"use_listings_cache": False, **options})
        self._path: str = self._fs._strip_protocol(url)  # noqa: SLF001 - fsspec offers no other way
        self._moves = protocol not in _WHOLE_PUTS

    def make(self) -> None:
        """Make the folder; an object store has none."""
        if self._moves:
            self._fs.makedirs(self._path, exist_ok=True)

    def write(self, name: str, parts: Sequence[Part]) -> None:
        """Write an object, whole or not at all."""
        content = b"".join(parts)
        if not self._moves:
            self._fs.pipe_file(self._at(name), content)
            return
        partial = self._at(f".{name}.{secrets.token_hex(4)}")
        try:
            self._fs.pipe_file(partial, content)
            self._fs.mv(partial, self._at(name))
        except BaseException:
            with suppress(Exception):  # the reason why it failed is what the caller must see
                self._fs.rm_file(partial)
            raise

    def read(self, name: str) -> memoryview:
        """Return an object's content in memory of the caller's own."""
        return memoryview(bytearray(self._fs.cat_file(self._at(name))))

    def strangers(self, name: str) -> str:
        """Nobody: who may write to a bucket is decided there, and nobody else can tell."""
        del name
        return ""

    def names(self) -> list[str]:
        """List the objects; none where there is no folder."""
        self._fs.invalidate_cache()
        try:
            found: list[str] = self._fs.ls(self._path, detail=False)
        except FileNotFoundError:
            return []
        names = [each.rstrip("/").rpartition("/")[2] for each in found]
        return [name for name in names if not name.startswith(".")]

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects, in one request where that can be; what is not there is left alone."""
        paths = [*map(self._at, names)]
        try:
            self._fs.rm(paths)
        except FileNotFoundError:  # some file systems stop at the first that is missing
            for path in paths:
                with suppress(FileNotFoundError):
                    self._fs.rm_file(path)

    def remove_all(self) -> None:
        """Remove the folder with all that is in it, if it is there."""
        self._fs.invalidate_cache()
        with suppress(FileNotFoundError):
            self._fs.rm(self._path, recursive=True)

    def close(self) -> None:
        """Let go of what is known of the file system; fsspec itself keeps its connections for the process."""
        self._fs.invalidate_cache()

    def _at(self, name: str) -> str:
        return f"{self._path}/{name}"


def _leave_the_thread_of_a_fork() -> None:
    """Have fsspec start its thread anew in a process that was forked from one where it ran; older ones wait for it."""
    asyn: Any = import_module("fsspec.asyn")
    thread = asyn.iothread[0]
    if thread is not None and not thread.is_alive():
        asyn.reset_lock()
