"""Pickles by value what other processes cannot import: what is local, nameless, or of the main module."""

from __future__ import annotations

import io
from typing import IO, TYPE_CHECKING, Any

from kernel.values import main_module

if TYPE_CHECKING:
    import pickle
    from collections.abc import Callable

__all__ = ["by_value", "pickler"]


def by_value(value: Any, *, named: bool | None = None) -> bytes:
    """Pickle with all that is local, nameless or of the main module by value; raises whatever stops it.

    `named`: what the main module has under its qualified name goes by that name, for whoever reads this has it, too
    (None: if the run that is under way says so).
    """
    with io.BytesIO() as file:
        pickler(file, named=named).dump(value)
        return file.getvalue()


def pickler(
    file: IO[bytes] | io.BytesIO,
    buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None,
    *,
    protocol: int = 5,
    named: bool | None = None,
) -> pickle.Pickler:
    """Return a pickler that does so; its `dispatch_table` may be replaced by one that has more than it."""
    from kernel.values.by_value_pickler import ByValuePickler  # noqa: PLC0415 - seldom needed, and slow to load

    return ByValuePickler(file, protocol, buffer_callback, named=main_module.by_name() if named is None else named)
