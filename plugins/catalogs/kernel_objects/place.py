"""Where the folders of runs are: a URL and what fsspec needs to get there, without secrets in any message."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from attrs import field, frozen

from kernel.datasets.credentials import hide, texts_in
from kernel.errors import ConfigError
from kernel_objects.local import LocalFolder
from kernel_objects.remote import RemoteFolder

__all__ = ["Folder", "Place", "find_place"]

Folder = LocalFolder | RemoteFolder

_URL = re.compile(r"(?P<protocol>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>.*)", re.DOTALL)
_LOCAL_PROTOCOLS = frozenset({"file", "local"})
#: The user and the password of a URL, and its query.
_URL_SECRETS = re.compile(r"(?<=://)[^/@]+(?=@)|(?<=\?).+", re.DOTALL)


@frozen
class Place:
    """A URL, which for local files is a path, and the options of its file system. It goes to each worker."""

    protocol: str
    url: str = field(repr=False)
    options: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)

    @property
    def is_local(self) -> bool:
        """Whether it is a folder in a file system of this machine."""
        return self.protocol == "file"

    def folder(self, run: str) -> Folder:
        """Return the folder of a run; nothing is looked up or made."""
        where = f"{self.url}/{run}"
        return LocalFolder(where) if self.is_local else RemoteFolder(self.protocol, where, self.options)

    def shown(self, run: str = "") -> str:
        """Say where it is: the path, or the URL without user, password and query."""
        where = self.url if self.is_local else re.sub(r"://[^/]*@", "://", self.url.partition("?")[0])
        return f"{where}/{run}" if run else where

    def told(self, error: BaseException) -> str:
        """Return what an error says, without secrets."""
        text = str(error) or "no reason given"
        if isinstance(error, OSError) and error.strerror:
            text = error.strerror
        secrets = [*texts_in(self.options), *_URL_SECRETS.findall(self.url)]
        return f"{type(error).__name__}: {hide(text, secrets)}"


def find_place(url: object, options: Mapping[str, Any]) -> Place:
    """Return the place of a URL or path. Raises `ConfigError` when it is none or a library for it is missing."""
    text = str(url) if isinstance(url, (str, Path)) else ""
    if not text:
        raise ConfigError("catalog 'objects': the option url names a folder or a URL, such as s3://bucket/prefix")
    match = _URL.fullmatch(text)
    protocol = match["protocol"].lower() if match else "file"
    if protocol in _LOCAL_PROTOCOLS:
        return Place("file", str(Path(match["rest"] if match else text).absolute()))
    _check_library(protocol)
    return Place(protocol, text.rstrip("/"), dict(options))


def _check_library(protocol: str) -> None:
    try:
        fsspec: Any = import_module("fsspec")  # only who puts values elsewhere needs it
        fsspec.get_filesystem_class(protocol)
    except ImportError as error:
        raise ConfigError(
            f"catalog 'objects': for {protocol}:// a library is missing ({error}); S3 and what speaks its language "
            f"need pip install 'kernel-pipelines[objects]', others the library of their own that fsspec names"
        ) from error
    except ValueError as error:
        raise ConfigError(f"catalog 'objects': fsspec knows no {protocol}://") from error
