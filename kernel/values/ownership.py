"""Whose a value is: only what nobody else holds, or can change, goes on to the next node without a copy."""

from __future__ import annotations

import sys
from sys import getrefcount
from typing import Any
from weakref import getweakrefcount

from kernel.values.copying import IMMUTABLE
from kernel.values.describing import type_of
from kernel.values.libraries import library_of

__all__ = ["PRIVATE_MEMORY", "holders", "is_held_by_one", "sole_owner"]

#: Memory that a catalog mapped for one reader alone has this attribute, which is true.
PRIVATE_MEMORY = "kernel_private_memory"

#: `sole_owner` looks at no more members of containers than this in all: beyond, a copy is worth its price.
_MEMBERS = 1000
_MANY = sys.maxsize
_FROZEN = frozenset({tuple, frozenset})
_CONTAINERS = frozenset({list, dict, set, *_FROZEN})
#: From this version on the interpreter borrows references to local variables, so counts may be too low.
#: https://github.com/python/cpython/issues/130704
_BORROWS = (3, 14)


def sole_owner(value: object, references: int) -> bool:
    """Say whether nobody but the caller holds `value`, or a part of it that can be changed.

    `references` is how many variables and containers of the caller hold it, the variable by which it is passed
    included. What cannot be changed is everybody's, and so the caller's own. True is certain, as far as Python can
    tell; in doubt, as with objects of unknown types and memory of unknown origin, the answer is False.
    """
    pending: list[tuple[Any, int, bool]] = [(value, references + _counting[1], False)]
    left = _MEMBERS
    while pending:
        member, known, shared = pending.pop()
        kind = type_of(member)
        if kind in IMMUTABLE:
            continue
        others = _MANY if shared else holders(member) - known - 1
        if kind not in _CONTAINERS:
            if library_of(kind).is_own(member, others):
                continue
            return False
        left -= len(member)
        if left < 0 or (others and kind not in _FROZEN):
            return False
        # What an unchangeable container of somebody else has in it must be unchangeable, too.
        pending += [(each, 1, others != 0) for each in member]
        if kind is dict:
            pending += [(each, 1, False) for each in member.values()]
    return True


def holders(value: object) -> int:
    """Return how many variables, containers and objects hold `value`, the variable of the caller included.

    Each weak reference counts, too: it can bring the value back.
    """
    return getrefcount(value) - _counting[0] + getweakrefcount(value)


def is_held_by_one(value: object) -> bool:
    """Say whether nobody holds `value` but what the caller has it from."""
    return holders(value) == 2 + _counting[1]  # what it comes from, and the caller's variable


def _holders_of_parameter(value: object) -> int:
    return holders(value)


def _measure() -> tuple[int, int]:
    """Return what counting adds to a count, and what a parameter adds to the variable that is passed."""
    counts = sys.implementation.name == "cpython" and getattr(sys, "_is_gil_enabled", lambda: True)()
    if not counts or sys.version_info >= _BORROWS:
        return -_MANY, 0  # counts tell nothing there, so nothing that can be changed is anybody's own
    probe = object()
    return holders(probe) - 1, _holders_of_parameter(probe) - holders(probe)


_counting = (0, 0)
_counting = _measure()
