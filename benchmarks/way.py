"""One contender's way to run one graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from attrs import frozen


def nothing():
    """Leave everything as it is."""


@frozen
class Way:
    """`run` is what is timed and returns the values that nobody reads, by position; `prepare` comes before, untimed."""

    run: Callable[[], Mapping[int, float]]
    prepare: Callable[[], object] = nothing
