"""Values of numpy: arrays go out of the pickle, whatever their type, and keep what numpy's own pickles lose."""

from __future__ import annotations

import ctypes
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kernel.values.comparing import is_equal
from kernel.values.copying import IMMUTABLE
from kernel.values.describing import type_of
from kernel.values.libraries import Library
from kernel.values.ownership import PRIVATE_MEMORY, is_held_by_one

if TYPE_CHECKING:
    from kernel.values.libraries import Reducer

__all__ = ["LIBRARY", "is_own_array"]

np: Any = import_module("numpy")  # its types say less of a value than is looked at here

#: Scalars of numpy that show memory or objects of others.
_CHANGEABLE = (np.void, np.object_)
#: What stands for the bytes of an element whose type offers no buffer, such as a date.
_WORDS = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}


# How arrays travel.


def _reducer(kind: Any) -> Reducer | None:
    if kind is np.ndarray:
        return _reduce_array
    if kind is np.ma.MaskedArray:
        return _reduce_masked
    if kind.__module__.partition(".")[0] == "numpy":
        return _reduce_record if issubclass(kind, np.void) else None
    if issubclass(kind, np.ndarray) and kind.__reduce__ is np.ndarray.__reduce__:
        return _reduce_subclass if kind.__setstate__ is np.ndarray.__setstate__ else None
    if issubclass(kind, np.generic) and kind.__reduce__ is np.generic.__reduce__:
        return _reduce_scalar
    return None


def _reduce_array(array: Any) -> Any:
    """Reduce an array as if it were writable, since a reader's is its own; packed; dates and the like as numbers."""
    if array.dtype.hasobject or not array.nbytes:
        return array.__reduce_ex__(5)
    if not (array.flags.c_contiguous or array.flags.f_contiguous):
        array = array.copy()
    words = _words_for(array.dtype)
    if words is not None:
        return _typed, (array.view(words), array.dtype)
    return (array if array.flags.writeable else _unlocked(array)).__reduce_ex__(5)


def _words_for(dtype: Any) -> Any:
    """Return the type of numbers that take as many bytes, for one that numpy itself would write into the pickle."""
    has_no_buffer = dtype.kind in "mM" or dtype.isbuiltin == 2  # noqa: PLR2004 - a type that another library added
    return _WORDS.get(dtype.itemsize) if has_no_buffer else None


def _typed(words: Any, dtype: Any) -> Any:
    return words.view(dtype)


def _unlocked(array: Any) -> Any:
    """Return a writable array over the same memory."""
    memory: Any = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
    memory.owner = array
    return np.ndarray(array.shape, array.dtype, memory, 0, array.strides)


def _reduce_masked(array: Any) -> Any:
    """Keep whether the mask is hard, and whether there is one: numpy's own pickle forgets both."""
    if array.baseclass is not np.ndarray:
        return array.__reduce_ex__(5)
    fill = None if array._fill_value is None else array.fill_value  # noqa: SLF001 - to ask for it makes one
    return _masked, (array.data, np.ma.getmask(array), array.hardmask, fill, dict(array._optinfo))  # noqa: SLF001 - as numpy's own pickle does


def _masked(data: Any, mask: Any, hard: bool, fill: Any, notes: dict[str, Any]) -> Any:
    array: Any = np.ma.MaskedArray(data, mask=mask, copy=False, fill_value=fill, hard_mask=hard)
    array._optinfo.update(notes)  # noqa: SLF001 - there is no other way
    return array


def _reduce_subclass(array: Any) -> Any:
    """Keep the attributes of an array of a user's class: numpy's own pickle forgets them."""
    return _of_class, (array.view(np.ndarray), type(array), array.__dict__)


def _of_class(array: Any, kind: Any, attributes: dict[str, Any]) -> Any:
    array = array.view(kind)
    array.__dict__.update(attributes)
    return array


def _reduce_record(record: Any) -> Any:
    """Make it a record that can be changed: what is assigned to one that numpy has rebuilt is gone at once."""
    return _element, (np.asarray(record),)


def _element(array: Any) -> Any:
    return array[()]


def _reduce_scalar(scalar: Any) -> Any:
    """Keep class and attributes of a number of a user's class: numpy's own pickle forgets both."""
    kind = type_of(scalar)
    base = next(each for each in kind.__mro__ if each.__module__ == "numpy")
    return _number, (base, kind, base(scalar), scalar.__dict__)


def _number(base: Any, kind: Any, value: Any, attributes: dict[str, Any]) -> Any:
    scalar = base.__new__(kind, value)
    scalar.__dict__.update(attributes)
    return scalar


# How they are copied and compared.


def _copy(value: Any) -> Any:
    kind = type_of(value)
    if kind is np.ndarray:
        if value.dtype.hasobject and not _is_of_immutables(value):
            return NotImplemented
        return np.array(value, order="K", copy=True)
    if isinstance(value, np.generic) and kind.__module__ == "numpy" and not isinstance(value, _CHANGEABLE):
        return value
    return NotImplemented


def _is_of_immutables(array: Any) -> bool:
    return array.dtype.kind == "O" and all(type(each) in IMMUTABLE for each in array.flat)


def _is_equal(one: Any, other: Any) -> Any:
    if isinstance(one, np.ma.MaskedArray):
        return _is_equal_masked(one, other)
    if isinstance(one, np.ndarray):
        if one.dtype != other.dtype or one.shape != other.shape:
            return False
        return _is_equal_attributes(one, other) and _is_equal_content(one, other)
    if isinstance(one, np.generic) and not isinstance(one, np.object_):
        return _is_equal_attributes(one, other) and bool(_is_equal_content(np.asarray(one), np.asarray(other)))
    return NotImplemented


def _is_equal_attributes(one: Any, other: Any) -> bool:
    return is_equal(getattr(one, "__dict__", None), getattr(other, "__dict__", None))


def _is_equal_content(one: Any, other: Any) -> bool:
    if one.dtype.names is not None:  # between fields there may be anything
        return all(_is_equal_content(one[name], other[name]) for name in one.dtype.names)
    return is_equal(one.tolist(), other.tolist()) if one.dtype.hasobject else one.tobytes() == other.tobytes()


def _is_equal_masked(one: Any, other: Any) -> bool:
    return (
        (one.mask is np.ma.nomask) == (other.mask is np.ma.nomask)
        and one.hardmask == other.hardmask
        and bool(np.all(np.ma.getmaskarray(one) == np.ma.getmaskarray(other)))
        and _is_equal(one.data, other.data) is True
    )


def _has_state(value: Any) -> bool:
    return isinstance(value, (np.random.Generator, np.random.RandomState, np.random.BitGenerator))


# Whose they are.

#: A slice of more memory than this (bytes) is copied before it is handed on, where it shows less than half of it.
_WORTH_CUTTING = 16 * 1024


def _is_own(value: Any, others: int) -> bool:
    kind = type_of(value)
    if kind is np.ndarray:
        return not others and is_own_array(value)
    return isinstance(value, np.generic) and kind.__module__ == "numpy" and not isinstance(value, _CHANGEABLE)


def is_own_array(array: Any) -> bool:
    """Say whether an array can be changed, nobody else sees the memory that it looks at, and it looks at most of that.

    A pickle gives no gaps between numbers, and nothing of what a slice was cut from.
    """
    flags = array.flags
    if array.dtype.hasobject or not flags.writeable or not (flags.c_contiguous or flags.f_contiguous):
        return False
    if array.base is None:
        return bool(flags.owndata)
    return _is_own_memory(array.base, max(2 * array.nbytes, _WORTH_CUTTING))


def _is_own_memory(base: Any, most: int) -> bool:
    """Say whether nobody but an array has what it looks at, and that is of no more bytes than `most`."""
    while is_held_by_one(base):
        kind = type_of(base)
        if kind is np.ndarray:
            if base.base is None:
                return bool(base.flags.owndata) and base.nbytes <= most
            base = base.base
        elif kind is memoryview:
            if getattr(base.obj, PRIVATE_MEMORY, False):  # other arrays of the same value look at other parts of it
                return True
            base = base.obj
        else:
            return kind is bytearray and len(base) <= most
    return False


LIBRARY = Library(reducer=_reducer, copy=_copy, is_own=_is_own, has_state=_has_state, is_equal=_is_equal)
