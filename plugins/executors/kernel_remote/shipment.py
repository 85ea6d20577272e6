"""What a worker is sent for a run: a program, and the main module that it belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from attrs import field, frozen

__all__ = ["Definitions", "Shipment"]


@frozen
class Definitions:
    """The main module on its way: whose it is, its attributes, what it also has, and what could not come with why."""

    key: str
    attributes: Mapping[str, Any]
    names: frozenset[str] = frozenset()
    left_out: Mapping[str, str] = field(factory=dict[str, str])
    #: The text of its file, for workers that may not have it.
    lines: Sequence[str] = ()


@frozen
class Shipment:
    """A pickled program, and, where the main module defines anything, its definitions with the pickle of the others.

    `goes_on`: the second pickle goes on with what the first one has, and has to be read after it by the same reader.
    """

    program: bytes
    definitions: Definitions | None = None
    others: bytes = b""
    goes_on: bool = False
