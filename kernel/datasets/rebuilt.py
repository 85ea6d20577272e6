"""Copies of an entry with some of its parts changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

__all__ = ["rebuilt"]


def rebuilt(value: Any, change: Callable[[str, Any], Any], key: str = "") -> Any:
    """Copy mappings and lists at any depth; `change(key, value)` sees each part before what is inside it.

    The key of what stands in a list is empty.
    """
    value = change(key, value)
    if isinstance(value, Mapping):
        parts = cast("Mapping[str, Any]", value)
        return {name: rebuilt(part, change, name) for name, part in parts.items()}
    if isinstance(value, list):
        return [rebuilt(item, change) for item in cast("Iterable[Any]", value)]
    return value
