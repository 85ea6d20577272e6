"""Values as copies: what a node gets is its own, down to the objects inside, and is what a pickle gives."""

from __future__ import annotations

import copy
from types import NoneType
from typing import TYPE_CHECKING, Any, Literal

from kernel.errors import DatasetError
from kernel.values.describing import type_of
from kernel.values.libraries import library_of
from kernel.values.pickling import dump, load

if TYPE_CHECKING:
    from kernel.datasets.dataset import CopyMode
    from kernel.values.libraries import Library
    from kernel.values.pickling import Dumped

__all__ = ["IMMUTABLE", "Kept", "copy_value", "keep"]

#: Exact types whose values nobody can change: never copied.
IMMUTABLE: frozenset[type] = frozenset({int, float, complex, bool, str, bytes, NoneType})


class Kept:
    """A value as it was when it was kept, for readers in this process; each takes one of its own."""

    __slots__ = ()

    def take(self, name: str, last: bool) -> Any:
        """Return a value that the caller may change; `last`: nobody takes one after this.

        Raises `DatasetError`, which names the dataset, when it cannot be made.
        """
        raise NotImplementedError


def keep(data: Any, mode: CopyMode | None = None, name: str = "") -> Kept:
    """Keep a value as it is now. Raises `DatasetError`, which names the dataset, when that cannot be done.

    Without a mode it is kept as a pickle or, where its library knows a quicker way to the same, as a copy. "copy" and
    "deepcopy" call the value's own, "assign" keeps the very object, and with "readonly" arrays refuse to be written.
    """
    if mode == "assign" or type(data) in IMMUTABLE:
        return _Shared(data)
    if mode == "copy" or mode == "deepcopy":  # noqa: PLR1714 - so that type checkers follow
        return _Copied(_copied(data, mode, name), mode)
    if mode == "readonly":
        return _Pickled(dump(name, data), readonly=True)
    library = library_of(type_of(data))
    copied = library.copy(data)
    return _Pickled(dump(name, data)) if copied is NotImplemented else _Known(copied, library)


def copy_value(data: Any, mode: CopyMode | None = None, name: str = "") -> Any:
    """Return what a reader gets of a value that is kept and never read again; raises as `keep` does."""
    return data if type(data) in IMMUTABLE else keep(data, mode, name).take(name, last=True)


class _Shared(Kept):
    """The very object, for all readers."""

    __slots__ = ("_value",)

    def __init__(self, value: Any) -> None:
        self._value = value

    def take(self, name: str, last: bool) -> Any:
        return self._value


class _Copied(Kept):
    """A copy made as the user said, and one more for each reader but the last."""

    __slots__ = ("_mode", "_value")

    def __init__(self, value: Any, mode: Literal["copy", "deepcopy"]) -> None:
        self._value = value
        self._mode: Literal["copy", "deepcopy"] = mode

    def take(self, name: str, last: bool) -> Any:
        return self._value if last else _copied(self._value, self._mode, name)


class _Known(Kept):
    """A copy made by the value's library, which also knows what readers get."""

    __slots__ = ("_library", "_value")

    def __init__(self, value: Any, library: Library) -> None:
        self._value = value
        self._library = library

    def take(self, name: str, last: bool) -> Any:
        if last:
            return self._value
        read = self._library.read(self._value)
        return self._library.copy(self._value) if read is NotImplemented else read


class _Pickled(Kept):
    """A pickle and what it left out, in memory of its own. The last reader's value lies in that very memory."""

    __slots__ = ("_buffers", "_readonly", "_stream")

    def __init__(self, dumped: Dumped, *, readonly: bool = False) -> None:
        self._stream = dumped.stream
        self._readonly = readonly
        self._buffers = [*map(bytes if readonly else bytearray, dumped.buffers)]

    def take(self, name: str, last: bool) -> Any:
        shared = last or self._readonly
        return load(name, self._stream, self._buffers if shared else [*map(bytearray, self._buffers)])


def _copied(data: Any, mode: Literal["copy", "deepcopy"], name: str) -> Any:
    try:
        return copy.copy(data) if mode == "copy" else copy.deepcopy(data)
    except Exception as error:  # user classes raise anything when they are copied
        raise DatasetError(
            f"{name and f'{name}: '}a value of type {type(data).__name__!r} cannot be copied: "
            f'{type(error).__name__}: {error}. Set copy_mode: "assign" for this dataset if no reader changes it.'
        ) from error
