"""Values of Arrow: they cannot be changed, and many of them look at the same memory."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from kernel.values.comparing import is_equal
from kernel.values.libraries import Library
from kernel.values.pickling import rebuilt

if TYPE_CHECKING:
    from kernel.values.libraries import Reducer

__all__ = ["LIBRARY", "packed_copy"]

pa: Any = import_module("pyarrow")  # its types say less of a value than is looked at here

#: An array over more bytes than this is packed before it travels, where it shows less than half of them.
_WORTH_PACKING = 16 * 1024
#: A buffer of fewer bytes is sooner written twice than looked for.
_WORTH_SHARING = 4 * 1024

_OVER_MEMORY = (pa.Array, pa.ChunkedArray, pa.RecordBatch, pa.Table)

_TEXTS = (
    pa.types.is_string,
    pa.types.is_large_string,
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_decimal,
)

#: Buffers that are being pickled, by address and size.
_buffers: WeakValueDictionary[tuple[int, int], Any] = WeakValueDictionary()


def _reducer(kind: type) -> Reducer | None:
    if issubclass(kind, pa.Buffer):
        return _reduce_buffer
    return _reduce_array if issubclass(kind, pa.Array) else None


def _reduce_buffer(buffer: Any) -> Any:
    """Write a buffer once, however many arrays of a value look at it through objects of their own.

    The pickler knows objects that it has written, and holds them till it is done; so the first one for this memory
    stands for the others.
    """
    if buffer.size >= _WORTH_SHARING:
        first = _buffers.setdefault((buffer.address, buffer.size), buffer)
        if first is not buffer:
            return _same, (first,)
    return buffer.__reduce_ex__(5)


def _same(buffer: Any) -> Any:
    return buffer


def _reduce_array(array: Any) -> Any:
    """Leave out what a slice does not show of its parent."""
    held = array.get_total_buffer_size()
    if held > _WORTH_PACKING and held > 2 * array.nbytes:
        array = _packed(array)
    return array.__reduce__()


def _packed(array: Any) -> Any:
    try:
        return _joined(array)
    except pa.ArrowException:  # a type that cannot be joined goes as it is
        return array


def _joined(array: Any) -> Any:
    """Copy what an array shows to memory of its own."""
    return pa.concat_arrays([array, array.slice(0, 0)])  # of one alone, some versions would return that one


def packed_copy(column: Any) -> Any:
    """Return a copy of a chunked array in memory of Arrow's own; None for types of which copies share parts."""
    kind = column.type
    is_simple = pa.types.is_primitive(kind) or any(is_one(kind) for is_one in _TEXTS)
    return pa.chunked_array([*map(_joined, column.chunks)], kind) if is_simple else None


def _copy(value: Any) -> Any:
    """Rebuild what looks at memory: that may be somebody else's, who can change it."""
    return rebuilt(value) if isinstance(value, _OVER_MEMORY) else NotImplemented


def _read(value: Any) -> Any:
    return value if isinstance(value, _OVER_MEMORY) else NotImplemented


def _is_equal(one: Any, other: Any) -> Any:
    if isinstance(one, (pa.Table, pa.RecordBatch)):
        return one.schema.equals(other.schema, check_metadata=True) and is_equal(one.columns, other.columns)
    if isinstance(one, (pa.Array, pa.ChunkedArray)):  # Arrow's own comparison takes no NaN for equal
        return one.type == other.type and (one.equals(other) or is_equal(one.to_pylist(), other.to_pylist()))
    return NotImplemented


# Whether memory of an array is its own cannot be told, so `is_own` is left out.
LIBRARY = Library(reducer=_reducer, copy=_copy, read=_read, is_equal=_is_equal)
