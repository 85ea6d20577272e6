"""One contender's way to run one graph."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen


@frozen
class Way:
    """`run` is what is timed, and returns the values that nobody reads, by position."""

    run: Callable[[], Mapping[int, Any]]
