"""How a value becomes bytes on its way to another process: pickle protocol 5, by reference or by value."""

from __future__ import annotations

import copyreg
import gc
import pickle
from _collections_abc import dict_items, dict_keys, dict_values
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO, TextIOWrapper
from operator import methodcaller
from types import NoneType
from typing import Any, NoReturn, cast
from weakref import WeakSet

from attrs import frozen

from kernel.errors import DatasetError, RebuildError, ValidationError
from kernel.values.by_value import by_value, pickler
from kernel.values.describing import said, type_of
from kernel.values.libraries import library_of
from kernel.values.main_module import by_name

__all__ = ["PLAIN", "Dumped", "Inline", "by_value", "dump", "load", "load_inline", "prepare", "rebuilt"]

#: Types whose values nobody can change and that every wire carries: such a value is its own handle. `bytes`
#: is not among them, for bytes are what a handle made by `Dumped.inline` is.
PLAIN: frozenset[type] = frozenset({int, float, complex, bool, str, NoneType})
#: A whole value that travels inside its handle: the pickle stream, or that and its buffers.
Inline = bytes | tuple[bytes, ...]

#: The collector is held off while a stream of this many bytes or more is read: it would find no garbage.
_LARGE_STREAM = 1 << 20
#: So much of what a library says of its refusal is shown.
_MOST_TEXT = 500
#: Types are remembered up to this many: a program may make classes without end.
_MOST_TYPES = 4096
_FLAT = PLAIN | {bytes}
_CONTAINERS = frozenset({dict, list, tuple, set, frozenset})
#: Of so many members it is cheaper to look at their types than to make a pickler that knows of libraries.
_FEW = 50


@frozen(eq=False)
class Dumped:
    """A serialised value: the pickle stream, and views of the contiguous buffers that it leaves out.

    They show later changes of the original, so take the bytes before its owner goes on.
    """

    stream: bytes
    buffers: Sequence[memoryview]

    def __len__(self) -> int:
        """Return the number of bytes of stream and buffers."""
        return len(self.stream) + sum(buffer.nbytes for buffer in self.buffers)

    def inline(self) -> Inline:
        """Copy all into a handle of bytes (or a tuple of bytes), which `load_inline` reads."""
        if not self.buffers:
            return self.stream
        return (self.stream, *map(bytes, self.buffers))


def dump(name: str, data: Any) -> Dumped:
    """Serialise the value of dataset `name`; raises `DatasetError` when it cannot be."""
    dumped = _dump_by_reference(data)
    if dumped is not None:
        return dumped
    try:
        return _dump_by_value(data)
    except Exception as error:  # user classes raise anything when they are pickled
        cause = f"{type(error).__name__}: {error}"
        if isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError):
            cause = "it is nested too deeply (RecursionError)"
        raise DatasetError(
            f"{name and f'{name}: '}a value of type {type(data).__name__!r} cannot be serialised: {_cut(cause)}. "
            f"Each reader gets a value of its own, made of a pickle: return plain data instead of open resources, or "
            f'declare the dataset as a file; where all nodes run in the runner\'s process, copy_mode "assign" hands on '
            f"the very object."
        ) from error


def prepare(values: Mapping[str, Any], readers: Mapping[str, Sequence[str]]) -> dict[str, Dumped]:
    """Serialise all values that are not plain; raises one `ValidationError` with every one that cannot be.

    `readers` has the names of the nodes that read each. What is returned saves serialising them again.
    """
    prepared: dict[str, Dumped] = {}
    problems: list[str] = []
    for name, data in values.items():
        if type(data) in PLAIN:
            continue
        try:
            prepared[name] = dump(name, data)
        except DatasetError as error:
            nodes = ", ".join(readers.get(name, ()))
            problems.append(f"{error} (read by: {nodes})" if nodes else str(error))
    if problems:
        raise ValidationError(problems)
    return prepared


def load(name: str, stream: bytes | memoryview, buffers: Sequence[Any]) -> Any:
    """Rebuild the value of dataset `name` over `buffers`, which it may keep.

    Raises `RebuildError` when it cannot be rebuilt.
    """
    pause = len(stream) >= _LARGE_STREAM and gc.isenabled()
    if pause:
        gc.disable()
    try:
        return pickle.loads(stream, buffers=buffers)
    except Exception as error:  # user classes raise anything when they are rebuilt
        raise RebuildError(name, f"{type(error).__name__}: {said(error)}") from error
    finally:
        if pause:
            gc.enable()


def load_inline(name: str, handle: Inline, *, readonly: bool = False) -> Any:
    """Rebuild a value of its own from a handle made by `Dumped.inline`; raises as `load` does.

    `readonly`: what lies in buffers (arrays, frames of numbers) refuses to be written.
    """
    if isinstance(handle, bytes):
        return load(name, handle, ())
    return load(name, handle[0], handle[1:] if readonly else [bytearray(buffer) for buffer in handle[1:]])


def rebuilt(value: Any) -> Any:
    """Return what a pickle makes of a value, over memory that nobody can write to; NotImplemented: it makes nothing."""
    try:
        dumped = dump("", value)
        return load("", dumped.stream, [*map(bytes, dumped.buffers)])
    except DatasetError:
        return NotImplemented  # who pickles it next is told why, and can name the dataset


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else f"{text[:_MOST_TEXT]}..."


def _dump_by_reference(data: Any) -> Dumped | None:
    buffers: list[pickle.PickleBuffer] = []
    try:
        if _is_flat(data):
            stream = pickle.dumps(data, 5)
        else:
            file = BytesIO()
            _Pickler(file, 5, buffer_callback=buffers.append).dump(data)
            stream = file.getvalue()
        dumped = Dumped(stream, [buffer.raw() for buffer in buffers])
    except Exception:  # whatever pickle cannot do is tried again by value, whose error counts
        return None
    # Whoever reads it may have another main module: then what this one defines goes by value.
    return dumped if by_name() or b"__main__" not in stream else None


def _dump_by_value(data: Any) -> Dumped:
    file, buffers = BytesIO(), list[pickle.PickleBuffer]()
    writer = pickler(file, buffers.append)
    writer.dispatch_table = cast("dict[Any, Any]", _ReducersByValue())
    writer.dump(data)
    return Dumped(file.getvalue(), [buffer.raw() for buffer in buffers])


def _is_flat(data: Any) -> bool:
    """Say whether a value is a container of nothing but numbers, texts and the like, as most small ones are."""
    kind = type_of(data)
    if kind in _FLAT:
        return True
    if kind not in _CONTAINERS or len(data) > _FEW:
        return False
    if kind is dict:
        return _FLAT.issuperset(map(type, data)) and _FLAT.issuperset(map(type, data.values()))
    return _FLAT.issuperset(map(type, data))


class _Reducers(dict[Any, Callable[[Any], Any]]):
    """How values of each type are pickled: as their library's plugin says, else as `copyreg` and they themselves do."""

    def __missing__(self, kind: Any) -> Callable[[Any], Any]:
        if issubclass(kind, type):
            raise KeyError(kind)  # a class whose metaclass it is: by its name
        own = library_of(kind).reducer(kind)
        if own is None and kind in copyreg.dispatch_table:
            return copyreg.dispatch_table[kind]  # it may be registered anew
        if len(self) >= _MOST_TYPES:
            self.clear()
        reducer = self[kind] = own or _usual
        return reducer


def _refuse(value: Any) -> NoReturn:
    raise TypeError(f"cannot pickle {type(value).__name__!r} object")


_reducers = _Reducers()
_usual = methodcaller("__reduce_ex__", 5)
#: What cloudpickle would write, and readers would get as something else: bytes, a copy that is detached from its dict,
#: a text in memory, a set that is empty at once.
_REFUSED: dict[Any, Callable[[Any], NoReturn]] = dict.fromkeys(
    (memoryview, dict_keys, dict_values, dict_items, TextIOWrapper, WeakSet), _refuse
)


class _ReducersByValue:
    """The same for what goes by value: only types of which libraries say something, for the pickler knows more."""

    def __contains__(self, kind: Any) -> bool:
        return kind in _REFUSED or (not issubclass(kind, type) and library_of(kind).reducer(kind) is not None)

    def __getitem__(self, kind: Any) -> Callable[[Any], Any]:
        if kind not in self:
            return copyreg.dispatch_table[kind]
        return _REFUSED.get(kind) or library_of(kind).reducer(kind) or _usual


class _Pickler(pickle.Pickler):
    dispatch_table = _reducers
