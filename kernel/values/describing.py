"""Says of what type and shape a value is, for errors and summaries; never what is in it, which may be secret."""

from __future__ import annotations

from typing import Any, cast

__all__ = ["described", "origin"]


def described(value: Any) -> str:
    """Name the type of a value, and its shape or length where it has one."""
    kind = type(value).__name__
    try:
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple):
            return f"{kind} {tuple(cast('tuple[int, ...]', shape))}"
        return f"{kind} of {len(value)}"
    except Exception:  # a user's class may do anything when it is asked; its name is enough then
        return kind


def origin(data: object) -> tuple[str, str]:
    """Return the library that a value's type is from, and the type's name."""
    kind = type(data)
    return kind.__module__.partition(".")[0], kind.__name__
