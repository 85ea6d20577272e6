"""How a value of each type is copied when nobody said how; no library is imported for that."""

from __future__ import annotations

import copy
from types import NoneType
from typing import TYPE_CHECKING, Any

from kernel.errors import DatasetError
from kernel.values.describing import origin

if TYPE_CHECKING:
    from kernel.datasets.dataset import CopyMode

__all__ = ["IMMUTABLE", "copy_value", "lock_array", "mode_of"]

#: Exact types whose values nobody can change: never copied.
IMMUTABLE: frozenset[type] = frozenset({int, float, complex, bool, str, bytes, NoneType})


def mode_of(data: Any) -> CopyMode:
    """Choose how to copy `data`: frames and arrays by their data, engines' frames not at all, else deeply.

    A numpy array that holds Python objects is copied deeply; a pandas frame that does shares them, as
    `DataFrame.copy` does. A polars frame's copy shares its immutable columns and costs nothing.
    """
    library, kind = origin(data)
    if library == "numpy" and kind == "ndarray":
        return "deepcopy" if data.dtype.hasobject else "copy"
    if kind == "DataFrame":
        return "copy" if library in {"pandas", "polars"} else "assign"
    if library == "ibis":
        return "assign"
    return "deepcopy"


def copy_value(data: Any, mode: CopyMode, name: str = "") -> Any:
    """Copy a value; "assign" and "readonly" give the very object. `name` is the dataset's, for errors.

    Raises `DatasetError` when its type cannot be copied that way.
    """
    try:
        if mode == "copy":
            return copy.copy(data)
        if mode == "deepcopy":
            return copy.deepcopy(data)
    except Exception as error:  # user classes raise anything when they are copied
        raise DatasetError(
            f"{name and f'{name}: '}a value of type {type(data).__name__!r} cannot be copied: {type(error).__name__}. "
            f'Set copy_mode: "assign" for this dataset if no reader changes it, or give it a __deepcopy__.'
        ) from error
    return data


def lock_array(data: Any) -> Any:
    """Return a read-only view of a numpy array without Python objects, or None for anything else."""
    if origin(data) != ("numpy", "ndarray") or data.dtype.hasobject:
        return None
    locked = data.view()
    locked.flags.writeable = False
    return locked
