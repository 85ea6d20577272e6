"""How a value becomes bytes on its way to another process: pickle protocol 5, by reference or by value."""

from __future__ import annotations

import copyreg
import gc
import io
import pickle
import sys
from collections import ChainMap
from types import NoneType
from typing import TYPE_CHECKING, Any

from attrs import frozen

from kernel.errors import DatasetError, RebuildError, ValidationError
from kernel.values.by_value import by_value, pickler
from kernel.values.describing import said
from kernel.values.main_module import by_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["PLAIN", "Dumped", "Inline", "by_value", "dump", "load", "load_inline", "prepare"]

#: Types whose values nobody can change and that every wire carries: such a value is its own handle. `bytes`
#: is not among them, for bytes are what a handle made by `Dumped.inline` is.
PLAIN: frozenset[type] = frozenset({int, float, complex, bool, str, NoneType})
#: A whole value that travels inside its handle: the pickle stream, or that and its buffers.
Inline = bytes | tuple[bytes, ...]

#: The collector is held off while a stream of this many bytes or more is read: it would find no garbage.
_LARGE_STREAM = 1 << 20


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
        kind, cause = type(data).__name__, type(error).__name__
        if isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError):
            cause = "it is nested too deeply (RecursionError)"
        detail = f" ({error})" if str(error).startswith("cannot pickle") else ""
        raise DatasetError(
            f"{name}: a value of type {kind!r} cannot be serialised: {cause}{detail}. "
            f"It has to reach another process: return plain data instead of open resources, "
            f"declare the dataset as a file, or use an executor whose workers are threads."
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


def _dump_by_reference(data: Any) -> Dumped | None:
    buffers: list[pickle.PickleBuffer] = []
    try:
        stream = pickle.dumps(data, protocol=5, buffer_callback=buffers.append)
        if any(map(_is_locked_array, buffers)):
            buffers.clear()
            stream = _unlocked(pickle.Pickler, data, buffers)
    except Exception:  # whatever pickle cannot do is tried again by value, whose error counts
        return None
    if not by_name() and b"__main__" in stream:
        return None  # whoever reads it may have another main module, so what this one defines goes by value
    return Dumped(stream, [buffer.raw() for buffer in buffers])


def _dump_by_value(data: Any) -> Dumped:
    buffers: list[pickle.PickleBuffer] = []
    stream = _unlocked(pickler, data, buffers)
    return Dumped(stream, [buffer.raw() for buffer in buffers])


def _unlocked(make: Callable[..., pickle.Pickler], data: Any, buffers: list[pickle.PickleBuffer]) -> bytes:
    """Pickle with locked arrays as if they were not: a reader's value is its own, whatever flags the original had."""
    file = io.BytesIO()
    writer = make(file, protocol=5, buffer_callback=buffers.append)
    if numpy := sys.modules.get("numpy"):
        usual: Any = copyreg.dispatch_table
        writer.dispatch_table = ChainMap({numpy.ndarray: _reduce_unlocked}, usual)
    writer.dump(data)
    return file.getvalue()


def _is_locked_array(buffer: pickle.PickleBuffer) -> bool:
    view = memoryview(buffer)
    return view.readonly and type(view.obj).__module__ == "numpy"


def _reduce_unlocked(array: Any) -> Any:
    """Reduce a numpy array as if it were writable, by way of a writable array over the same memory."""
    contiguous = array.flags.c_contiguous or array.flags.f_contiguous
    if array.flags.writeable or not contiguous or array.dtype.hasobject or not array.nbytes:
        return array.__reduce_ex__(5)
    import ctypes  # noqa: PLC0415 - seldom needed

    memory: Any = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
    memory.owner = array
    return type(array)(array.shape, array.dtype, memory, 0, array.strides).__reduce_ex__(5)
