"""Values that change when they are read: of these, copies for several readers are seldom what a user means."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

from kernel.values.describing import type_of
from kernel.values.libraries import library_of

__all__ = ["has_state"]


def has_state(value: Any) -> bool:
    """Say whether to read the value changes it: an iterator, or a source of random numbers."""
    return isinstance(value, (Iterator, Random)) or library_of(type_of(value)).has_state(value)
