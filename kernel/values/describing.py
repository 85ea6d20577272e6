"""Says of what type and shape a value is, never what is in it, which may be secret; and what an error says."""

from __future__ import annotations

from typing import Any, cast

__all__ = ["described", "said", "type_of"]


def described(value: Any) -> str:
    """Name the type of a value, and its shape or length where it has one."""
    kind = type(value).__name__
    try:
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple):
            return f"{kind} {tuple(cast('tuple[int, ...]', shape))}"
        return f"{kind} of {len(value)}"
    except BaseException:  # a user's class may do anything when it is asked; its name is enough then
        return kind


def type_of(value: object) -> Any:
    """Return the type that a value is of, whatever a proxy says of itself."""
    return type(value)


def said(error: BaseException) -> str:
    """Return the message of an error, whatever its class does when it is asked for it."""
    try:
        return "".join((str(error),))  # a text of a class of its own would travel as that, with all it can do
    except BaseException as second:  # a user's __str__ may do anything, and must not hide the error itself
        return f"(its message could not be made: {type(second).__name__})"
