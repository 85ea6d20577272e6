"""Makes functions and programs into bytes that a worker can read: by reference where it can import, else by value."""

from __future__ import annotations

import pickle
from typing import Any

from kernel.serialise import by_value

__all__ = ["dumps", "obstacle"]


def dumps(value: Any) -> bytes:
    """Pickle by reference; by value what is local, nameless or of the main script. Raises whatever stops it."""
    try:
        data = pickle.dumps(value, 5)
    except Exception:  # whatever pickle cannot do is tried again with cloudpickle, whose error counts
        data = b"__main__"
    if b"__main__" not in data:
        return data
    return by_value(value)


def obstacle(value: Any) -> str | None:
    """Say why a value cannot travel; None if it can."""
    try:
        dumps(value)
    except Exception as error:  # whatever stops it is the reason
        return f"{type(error).__name__}: {error}"
    return None
