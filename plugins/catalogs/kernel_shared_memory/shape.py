"""What a handle looks like, and what every store of a run needs to know."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from attrs import field, frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernel.specs.catalog import CopyMode, Handle

__all__ = ["Block", "Shape", "is_block"]

#: Arena, offset and size in bytes, serial number: the handle of a value in shared memory.
Block = tuple[int, int, int, int]


def is_block(handle: Handle) -> bool:
    """Say whether the handle is a block; all others hold their value themselves."""
    return type(handle) is tuple and isinstance(cast("tuple[object, ...]", handle)[0], int)


@frozen
class Shape:
    """Where the shared memory of a run is; it goes to each worker.

    `control` and `arenas` are paths of segments; an arena may grow to `arena_size` bytes. The last arena is the
    runner's own; the others are the workers', by their numbers. Once their arenas take `memory_limit` bytes in all,
    processes go on writing to arenas in the folder `spill`, which are numbered on in the same order. Each arena has a
    slot in the control segment. `place` says where the first kind is, for messages. `token` is this memory's alone;
    `warm` says that the next run may go on with it.
    """

    token: str
    control: str
    arenas: Sequence[str]
    arena_size: int
    memory_limit: int | None
    spill: str
    place: str
    warm: bool = False
    copy_modes: Mapping[str, CopyMode] = field(factory=dict[str, "CopyMode"])

    @property
    def owners(self) -> int:
        """The number of processes that have arenas: the workers and the runner's."""
        return len(self.arenas)
