"""How long nodes take, by function: which ones are tiny enough to be sent and reported in batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

__all__ = ["TINY_S", "Costs"]

#: A node under this (seconds, recent mean) costs less than waking somebody up for it.
TINY_S = 200e-6
#: How much a new time counts against the mean so far: one preemption must not make a tiny node look long for good.
_WEIGHT = 0.25


class Costs:
    """Recent mean seconds of a turn, by what the function runs: many partials of one function count as one."""

    def __init__(self, functions: Sequence[Callable[..., Any]]) -> None:
        keys: dict[Any, int] = {}
        self._group = [keys.setdefault(_key(function), len(keys)) for function in functions]
        self._means: list[float] = [float("inf")] * len(keys)

    def mean(self, which: int) -> float:
        """Return the recent mean of function number `which`; infinite while it has never run."""
        return self._means[self._group[which]]

    def add(self, which: int, seconds: float) -> None:
        """Take a time into the mean."""
        group = self._group[which]
        mean = self._means[group]
        self._means[group] = seconds if mean == float("inf") else mean + (seconds - mean) * _WEIGHT


def _key(function: Callable[..., Any]) -> Any:
    while isinstance(function, partial):
        function = function.func
    code = getattr(function, "__code__", None)
    return id(code) if code is not None else id(type(function))
