"""Pickles by value what other processes cannot import: what is local, nameless, or of the main script."""

from __future__ import annotations

from typing import Any

__all__ = ["by_value"]


def by_value(value: Any) -> bytes:
    """Pickle with all that is local, nameless or of the main script by value; raises whatever stops it."""
    import cloudpickle  # pyright: ignore[reportMissingTypeStubs] # noqa: PLC0415 - seldom needed, and slow to load

    data: bytes = cloudpickle.dumps(value, 5)  # pyright: ignore[reportUnknownMemberType] - it has no types
    return data
