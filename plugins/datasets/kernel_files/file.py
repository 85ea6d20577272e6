"""What all dataset types for files share: where it is, its versions, saves that are whole or nothing."""

from __future__ import annotations

import logging
import os
import posixpath
import re
from abc import abstractmethod
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar

from kernel.datasets.credentials import texts_in
from kernel.datasets.dataset import Dataset, Version
from kernel.datasets.versions import new_version, version_problem
from kernel.errors import DatasetError, VersionNotFoundError
from kernel_files.local import LocalFiles
from kernel_files.remote import RemoteFiles

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FileDataset"]

_log = logging.getLogger(__name__)
_URL = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*(?:::[A-Za-z][A-Za-z0-9+.-]*)*)://(?P<rest>.*)", re.DOTALL)
#: The password and the query of a URL.
_URL_SECRETS = re.compile(r"(?<=:)[^/:]+(?=@)|(?<=\?).+", re.DOTALL)
_LOCAL_PROTOCOLS = frozenset({"file", "local"})
_LOCAL = LocalFiles()


class FileDataset(Dataset):
    """One file, or with `version` a folder with one file for each version: `filepath/VERSION/name`.

    `filepath` is a path of this machine or a URL that fsspec knows; `load_args` and `save_args` go to the
    library that reads and writes the format; `fs_args` and `credentials` to fsspec's file system (local
    files need neither). A type is made by `read` and `write`, which get an open binary file.
    """

    #: What the library gets on saving where `save_args` says nothing else.
    save_defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        load_args: Mapping[str, Any] | None = None,
        save_args: Mapping[str, Any] | None = None,
        credentials: Mapping[str, Any] | None = None,
        fs_args: Mapping[str, Any] | None = None,
        version: Version | None = None,
    ) -> None:
        url = _URL.fullmatch(os.fspath(filepath))
        self.protocol = url["protocol"] if url else "file"
        if self.protocol in _LOCAL_PROTOCOLS:
            self.filepath = str(Path(url["rest"] if url else filepath).absolute())
        else:
            self.filepath = os.fspath(filepath)
        self.load_args = dict(load_args or {})
        self.save_args = {**self.save_defaults, **(save_args or {})}
        self.version = version
        self.secrets = tuple(texts_in(credentials))
        if self.protocol not in _LOCAL_PROTOCOLS:
            self.secrets += tuple(part for part in _URL_SECRETS.findall(self.filepath) if part)
        self._fs_options = {**(fs_args or {}), **(credentials or {})}
        for named in (version.load, version.save or None) if version else ():
            if named is not None and (problem := version_problem(named)):
                raise DatasetError(problem)

    @abstractmethod
    def read(self, file: IO[bytes]) -> Any:
        """Return the data of an open file."""

    @abstractmethod
    def write(self, data: Any, file: IO[bytes]) -> None:
        """Write the data to an open file."""

    def load(self) -> Any:
        """Read the file. Raises `DatasetError` or `VersionNotFoundError` when it is not there."""
        path = self._load_path()
        try:
            with self._files().reading(path) as file:
                return self.read(file)
        except FileNotFoundError as error:
            if self.version is not None:
                told = f"there is no version {self.version.load!r} in {self.describe()}"
                raise VersionNotFoundError(told) from error
            raise DatasetError(f"there is no file {self.describe()}") from error

    def save(self, data: Any) -> None:
        """Write the file, whole or not at all; folders are made. `DatasetError` for a version saved twice."""
        version = self.version
        saved = (version.save or new_version()) if version is not None else ""
        path = self._version_path(saved) if version is not None else self.filepath
        try:
            with self._files().writing(path, new=version is not None) as file:
                self.write(data, file)
        except FileExistsError:
            if version is None:
                raise
            told = f"version {saved!r} is in {self.describe()} already: a version is saved once"
            raise DatasetError(told) from None
        if version is not None and version.load is not None and version.load != saved:
            where = self.describe()
            _log.warning("%s: saved version %r, but loads read version %r", where, saved, version.load)

    def exists(self) -> bool:
        """Say whether there is a file to load."""
        try:
            return self._files().exists(self._load_path())
        except VersionNotFoundError:
            return False

    def release(self) -> None:
        """Drop the listing that fsspec may have cached."""
        self._files().forget(self.filepath)

    def newest_version(self) -> str | None:
        """Say which version a load without a named one would read."""
        if self.version is None:
            return None
        files = self._files()
        if self.version.save and files.exists(self._version_path(self.version.save)):
            return self.version.save
        for found in sorted(files.children(self.filepath), reverse=True):
            if not found.startswith(".") and files.exists(self._version_path(found)):
                return found
        return None

    def describe(self) -> str:
        """Say where the file is: its path, or its URL without user, password and query."""
        if self.protocol in _LOCAL_PROTOCOLS:
            return self.filepath
        return re.sub(r"://[^/]*@", "://", self.filepath.partition("?")[0])

    def _files(self) -> LocalFiles | RemoteFiles:
        """Return the files to which this one belongs; fsspec itself keeps its file systems."""
        return _LOCAL if self.protocol in _LOCAL_PROTOCOLS else RemoteFiles(self.protocol, self._fs_options)

    def _load_path(self) -> str:
        """Return the path to read: of the version asked for, else of this run's own, else of the newest."""
        if self.version is None:
            return self.filepath
        version = self.version.load or self.newest_version()
        if version is None:
            raise VersionNotFoundError(f"there is no version in {self.describe()}")
        return self._version_path(version)

    def _version_path(self, version: str) -> str:
        return posixpath.join(self.filepath, version, posixpath.basename(self.filepath))
