"""What a handle looks like, and what every store of a run needs to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernel.specs.catalog import CopyMode, Handle

__all__ = ["Block", "Shape", "is_block"]

#: Arena, offset and size in bytes, serial number: the handle of a value in shared memory.
Block = tuple[int, int, int, int]


def is_block(handle: Handle) -> bool:
    """Say whether the handle is a block; all others hold their value themselves."""
    return isinstance(handle, tuple) and isinstance(cast("tuple[object, ...]", handle)[0], int)


@frozen
class Shape:
    """Where the shared memory of a run is; it goes to each worker.

    `control` and `arenas` are paths of segments; an arena may grow to `arena_size` bytes. The last arena, and
    the last slot of the control segment, is the runner's own; the others are the workers', by their numbers.
    `place` says where they are, for messages.
    """

    control: str
    arenas: Sequence[str]
    arena_size: int
    place: str
    copy_modes: Mapping[str, CopyMode]
