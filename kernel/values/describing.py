"""Says of what type and shape a value is, for errors and summaries; never what is in it, which may be secret."""

from __future__ import annotations

from typing import Any, cast

__all__ = ["described", "type_of"]


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


def type_of(value: object) -> Any:
    """Return the type that a value is of, whatever a proxy says of itself."""
    return type(value)
