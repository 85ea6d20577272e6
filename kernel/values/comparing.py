"""When two values are the same to who reads them: of one type, and equal down to the objects inside."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from typing import Any, cast

from kernel.values.describing import type_of
from kernel.values.libraries import library_of

__all__ = ["is_equal"]

#: Types of values that have no others in them.
_ALONE = frozenset({int, float, complex, bool, str, bytes})
#: What is being compared: who comes by there again would go round for ever.
_pairs: ContextVar[set[tuple[int, int]] | None] = ContextVar("pairs", default=None)


def is_equal(one: Any, other: Any) -> bool:
    """Say whether two values are the same to a reader; NaN is the same as NaN.

    Containers are compared member by member; values of libraries as their plugins say; objects whose class does not
    say what is equal, by the parts that a pickle has of them. Values may hold themselves.
    """
    if one is other:
        return True
    kind = type_of(one)
    if kind is not type(other):
        return False
    if kind in _ALONE:
        return bool(one == other or (one != one and other != other))  # noqa: PLR0124 - NaN is what differs from itself
    pairs = _pairs.get()
    if pairs is None:
        token = _pairs.set(set())
        try:
            return is_equal(one, other)
        finally:
            _pairs.reset(token)
    pair = (id(one), id(other))
    if pair in pairs:
        return True  # if they differ, that is seen elsewhere
    pairs.add(pair)
    try:
        said = library_of(kind).is_equal(one, other)
        return _is_equal(one, other) if said is NotImplemented else bool(said)
    finally:
        pairs.remove(pair)


def _is_equal(one: Any, other: Any) -> bool:
    if isinstance(one, Mapping):
        return _is_equal_mapping(cast("Any", one), other)
    if isinstance(one, (list, tuple)):
        members = cast("list[Any]", one)
        return len(members) == len(other) and all(map(is_equal, members, other))
    if "__eq__" in {name for base in type(one).__mro__[:-1] for name in vars(base)}:
        return bool(one == other)
    try:
        return is_equal(_parts_of(one), _parts_of(other))
    except Exception:  # what cannot be taken apart, for whatever reason its class gives, is the same as itself alone
        return bool(one == other)


def _is_equal_mapping(one: Mapping[Any, Any], other: Mapping[Any, Any]) -> bool:
    return list(one) == list(other) and all(is_equal(value, other[key]) for key, value in one.items())


def _parts_of(value: Any) -> Any:
    """Return a function, its arguments and its state, and the members that it would be given.

    No attributes yet are as good as none: errors that were rebuilt with their attributes have them empty.
    """
    parts = value.__reduce_ex__(5)
    if isinstance(parts, str):
        return parts
    function, arguments, state, *members = (*parts, None, None, None)[:5]
    return (function, arguments, state or None, *[None if each is None else [*each] for each in members])
