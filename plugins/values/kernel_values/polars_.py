"""Values of polars: columns cannot be changed, and a frame shares them with its clones."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kernel.values.libraries import Library
from kernel.values.pickling import rebuilt

__all__ = ["LIBRARY"]

pl: Any = import_module("polars")  # its types say less of a value than is looked at here

#: Of these, clones share what cannot be changed. Which columns there are can be, of each clone by itself.
_CLONED = frozenset({pl.DataFrame, pl.LazyFrame, pl.Series})


def _copy(value: Any) -> Any:
    """Rebuild it: a clone may show memory of somebody else, such as an array that it was made of."""
    return rebuilt(value) if type(value) in _CLONED else NotImplemented


def _read(value: Any) -> Any:
    return value.clone() if type(value) in _CLONED else NotImplemented


def _is_equal(one: Any, other: Any) -> Any:
    if isinstance(one, pl.LazyFrame):
        return one.collect().equals(other.collect())
    if isinstance(one, pl.DataFrame):
        return one.schema == other.schema and one.equals(other)
    if isinstance(one, pl.Series):
        return one.equals(other, check_dtypes=True, check_names=True)
    return NotImplemented


# Whether memory of a frame is its own cannot be told, so `is_own` is left out.
LIBRARY = Library(copy=_copy, read=_read, is_equal=_is_equal)
