"""When two values are the same to who reads them: of one type, and equal down to the objects inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from kernel.values.describing import type_of
from kernel.values.libraries import library_of

__all__ = ["is_equal"]


def is_equal(one: Any, other: Any) -> bool:
    """Say whether two values are the same to a reader; NaN is the same as NaN.

    Containers are compared member by member; values of libraries as their plugins say; objects whose class does not
    say what is equal, by their attributes.
    """
    if one is other:
        return True
    if type(one) is not type(other):
        return False
    said = library_of(type_of(one)).is_equal(one, other)
    return _is_equal(one, other) if said is NotImplemented else bool(said)


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping):
        return _is_equal_mapping(cast("Any", one), other)
    if isinstance(one, (list, tuple)):
        members = cast("list[Any]", one)
        return len(members) == len(other) and all(map(is_equal, members, other))
    if isinstance(one, (float, complex)):
        return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN is what differs from itself
    if "__eq__" not in {name for base in type(one).__mro__[:-1] for name in vars(base)} and hasattr(one, "__dict__"):
        return is_equal(vars(one), vars(other))
    return bool(one == other)


def _is_equal_mapping(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    return list(one) == list(other) and all(is_equal(value, other[key]) for key, value in one.items())
