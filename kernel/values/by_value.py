"""Pickles by value what other processes cannot import: what is local, nameless, or of the main script."""

from __future__ import annotations

from collections.abc import Callable
from pickle import PickleBuffer
from typing import IO, Any

__all__ = ["by_value", "by_value_pickler"]


def by_value(value: Any) -> bytes:
    """Pickle with all that is local, nameless or of the main script by value; raises whatever stops it."""
    import cloudpickle  # pyright: ignore[reportMissingTypeStubs] # noqa: PLC0415 - seldom needed, and slow to load

    data: bytes = cloudpickle.dumps(value, 5)  # pyright: ignore[reportUnknownMemberType] - it has no types
    return data


def by_value_pickler(file: IO[bytes], buffer_callback: Callable[[PickleBuffer], Any]) -> Any:
    """Make a pickler that does the same; its `dispatch_table` may be extended."""
    import cloudpickle  # pyright: ignore[reportMissingTypeStubs] # noqa: PLC0415 - seldom needed, and slow to load

    return cloudpickle.Pickler(file, protocol=5, buffer_callback=buffer_callback)  # pyright: ignore - it has no types
