"""How long nodes take, by function: which ones are tiny enough to be sent and reported in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import FunctionType
from typing import Any

__all__ = ["TINY_S", "Costs"]

#: A node under this (seconds, recent mean) costs less than waking somebody up for it.
TINY_S = 200e-6
#: How much a new time counts against the mean so far, and how many times the mean it counts as at most: one preemption
#: must not make a tiny node look long, and a node that has become long shall be known for it after a few turns, or
#: after one of so many seconds, which no preemption takes.
_WEIGHT = 0.25
_MOST_TIMES = 10
_LONG_S = 50e-3
_UNKNOWN = float("inf")


class Costs:
    """Recent mean seconds of a turn, by what the function runs: many partials of one function count as one.

    `groups` has for each function its place in `means`, which is infinite until one of them has run: in this run or,
    where these costs follow those of another, in that one.
    """

    def __init__(self, functions: Sequence[Callable[..., Any]]) -> None:
        keys: dict[int, int] = {}
        self.groups = [keys.setdefault(_key(function), len(keys)) for function in functions]
        self.means: list[float] = [_UNKNOWN] * len(keys)
        self._keys = keys
        self._functions = functions  # while they are there, nothing else has their keys

    def followed_by(self, functions: Sequence[Callable[..., Any]]) -> Costs:
        """Return the costs of the functions of a next run: of those that this one has, too, they know what it knows."""
        following = Costs(functions)
        known = dict(zip(self._keys, self.means, strict=True))
        following.means = [known.get(key, _UNKNOWN) for key in following._keys]
        return following

    def add(self, group: int, seconds: float) -> None:
        """Take a time into a mean."""
        mean = self.means[group]
        if mean * _MOST_TIMES < seconds < _LONG_S:
            seconds = mean * _MOST_TIMES + 1e-6
        self.means[group] = seconds if mean == _UNKNOWN else mean + (seconds - mean) * _WEIGHT


def _key(function: Callable[..., Any]) -> int:
    """Tell by its code what runs in the end; what is not written in Python is by itself."""
    seen: set[int] = set()
    while id(function) not in seen:  # until it is the same again: a wrapper may even say that it wraps itself
        seen.add(id(function))
        if isinstance(function, partial):
            function = function.func
        elif isinstance(function, FunctionType):  # other objects may answer to any name
            function = getattr(function, "__wrapped__", function)
    code = getattr(function, "__code__", None) or getattr(type(function).__call__, "__code__", None)
    return id(function if code is None else code)
