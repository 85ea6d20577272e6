"""Whose a value is: only what nobody else holds, or can change, goes on to the next node without a copy."""

from __future__ import annotations

import sys
from sys import getrefcount
from typing import TYPE_CHECKING, Any
from weakref import getweakrefcount, getweakrefs

from kernel.values.copying import IMMUTABLE
from kernel.values.describing import origin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["PRIVATE_MEMORY", "sole_owner"]

#: Memory that a catalog mapped for one reader alone has this attribute, which is true.
PRIVATE_MEMORY = "kernel_private_memory"

#: `sole_owner` looks at no more members of containers than this in all: beyond, a copy is worth its price.
_MEMBERS = 1000
_MANY = sys.maxsize
_FROZEN = frozenset({tuple, frozenset})
_CONTAINERS = frozenset({list, dict, set, *_FROZEN})
_ARROW = frozenset({"Table", "RecordBatch", "ChunkedArray"})
#: All that an ordinary pandas frame or series has.
_FRAME_PARTS = frozenset({"_mgr", "_attrs", "_flags", "_typ", "_name"})


def sole_owner(value: object, references: int) -> bool:
    """Say whether nobody but the caller holds `value`, or a part of it that can be changed.

    `references` is how many variables and containers of the caller hold it, the variable by which it is passed
    included. What cannot be changed is everybody's, and so the caller's own. True is certain, as far as Python can
    tell; in doubt, as with objects of unknown types, the answer is False.
    """
    pending: list[tuple[Any, int, bool]] = [(value, references + _counting[1], False)]
    left = _MEMBERS
    while pending:
        member, known, shared = pending.pop()
        kind = _type_of(member)
        if kind in IMMUTABLE:
            continue
        others = _MANY if shared else _holders(member) - known - 1
        if kind not in _CONTAINERS:
            if _is_own_of_library(member, kind, others):
                continue
            return False
        left -= len(member)
        if left < 0 or (others and kind not in _FROZEN):
            return False
        # What an unchangeable container of somebody else has in it must be unchangeable, too.
        pending += [(each, 1, others != 0) for each in member]
        if kind is dict:
            pending += [(each, 1, False) for each in member.values()]
    return True


def _holders(value: object) -> int:
    """Return how many variables, containers and objects hold `value`, the variable of the caller included.

    Each weak reference counts, too: it can bring the value back.
    """
    return getrefcount(value) - _counting[0] + getweakrefcount(value)


def _holders_of_parameter(value: object) -> int:
    return _holders(value)


def _measure() -> tuple[int, int]:
    """Return what counting adds to a count, and what a parameter adds to the variable that is passed."""
    if sys.implementation.name != "cpython" or not getattr(sys, "_is_gil_enabled", lambda: True)():
        return -_MANY, 0  # counts tell nothing there, so nothing that can be changed is anybody's own
    probe = object()
    return _holders(probe) - 1, _holders_of_parameter(probe) - _holders(probe)


_counting = (0, 0)
_counting = _measure()


def _library(name: str) -> Any:
    return sys.modules[name]  # there, since a value of it is


def _type_of(value: object) -> type:
    return type(value)


def _is_own_of_library(value: Any, kind: type, others: int) -> bool:
    library, name = origin(value)
    if library == "numpy":
        if name == "ndarray":
            return not others and _is_own_array(value)
        return any(base.__name__ == "generic" for base in kind.__mro__) and name not in {"void", "record", "object_"}
    if library == "pandas" and name in {"DataFrame", "Series"}:
        return others == 1 and _is_own_frame(value)  # its flags hold it weakly
    if library == "pyarrow":
        return kind.__module__ == "pyarrow.lib" and (name in _ARROW or name.endswith("Array"))
    if library == "polars" and name in {"DataFrame", "Series"}:
        # Its data cannot be changed, but which columns it has can.
        types = value.dtypes if name == "DataFrame" else [value.dtype]
        return not others and all(str(each) != "Object" for each in types)
    return False


def _is_own_array(array: Any) -> bool:
    """Say whether an array can be changed, and nobody else sees the memory that it looks at."""
    if array.dtype.hasobject or not array.flags.writeable:
        return False
    if array.base is None:
        return bool(array.flags.owndata)
    base: Any = array.base
    while _is_held_by_one(base):
        kind = _type_of(base)
        if kind is _type_of(array):
            if base.base is None:
                return bool(base.flags.owndata)
            base = base.base
        elif kind is memoryview:
            if getattr(base.obj, PRIVATE_MEMORY, False):  # other arrays of the same value look at other parts of it
                return True
            base = base.obj
        else:
            return kind is bytearray
    return False


def _is_held_by_one(value: object) -> bool:
    """Say whether nobody holds `value` but what the caller has it from."""
    return _holders(value) == 2 + _counting[1]  # what it comes from, and the caller's variable


def _is_own_frame(frame: Any) -> bool:
    """Say whether a pandas frame or series has all its parts to itself, and copies on write what it lends."""
    pandas = _library("pandas")
    if pandas.__version__.startswith(("0.", "1.", "2.")) and pandas.options.mode.copy_on_write is not True:
        return False
    parts: Mapping[str, Any] = frame.__dict__
    if parts.get("_attrs") or type(parts.get("_name")) not in IMMUTABLE or not parts.keys() <= _FRAME_PARTS:
        return False
    weak = getweakrefs(frame)
    # Without a callback there is one weak reference for all who ask: its flags, and anybody.
    if len(weak) != 1 or "_flags" not in parts:
        return False
    flags_know = weak.pop()
    manager = parts["_mgr"]
    blocks: Sequence[Any] = manager.blocks
    if not all([_is_held_by_one(flags_know), _is_held_by_one(manager), _is_held_by_one(blocks)]):
        return False
    # pandas itself holds blocks weakly, to know who lends what.
    return all(_holders(block) == 2 + getweakrefcount(block) and _is_own_column(block) for block in blocks)


def _is_own_column(block: Any) -> bool:
    """Say whether the columns in a block of a frame, and what they consist of, are nobody else's."""
    values = block.values
    if not _is_held_by_one(values):
        return False
    if origin(values) == ("numpy", "ndarray"):
        return _is_own_array(values)
    if hasattr(values, "_pa_array"):
        return True
    for name in ("_data", "_mask") if hasattr(values, "_mask") else ("_ndarray",):
        array = getattr(values, name, None)
        if origin(array) != ("numpy", "ndarray") or not _is_held_by_one(array) or not _is_own_array(array):
            return False
    return True
