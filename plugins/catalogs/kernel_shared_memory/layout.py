"""How a serialised value lies in a block: a header, the pickle stream, then its buffers, each aligned for SIMD."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from attrs import frozen

from kernel.errors import DatasetError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel.values.pickling import Dumped

__all__ = ["Layout", "plan", "read"]

#: Arrow and numpy's loops want buffers to start at a multiple of this many bytes.
_ALIGNMENT = 64
#: Large parts start at a page. Copied to an address a little above its own within a page, memory takes up to
#: four times as long to copy, for the processor takes loads to depend on the stores just before; and large
#: arrays begin shortly after a page's start.
_LARGE = 64 * 1024
_PAGE = 4096
#: The block's serial number, how many parts there are, then for each its length; the stream is the first
#: part.
_HEADER = struct.Struct("<QQ")
_LENGTH = struct.Struct("<Q")


@frozen(eq=False)
class Layout:
    """Where the parts of a value go: `offsets` from the start of its block, `size` of all in bytes."""

    parts: Sequence[bytes | memoryview]
    offsets: Sequence[int]
    size: int

    def header(self, serial: int) -> bytes:
        """Return what stands at the start of the block."""
        lengths = (_LENGTH.pack(len(part)) for part in self.parts)
        return b"".join((_HEADER.pack(serial, len(self.parts)), *lengths))


def plan(dumped: Dumped) -> Layout:
    """Lay out a serialised value."""
    parts: list[bytes | memoryview] = [dumped.stream, *dumped.buffers]
    offsets: list[int] = []
    end = _HEADER.size + len(parts) * _LENGTH.size
    for part in parts:
        start = _start(end, len(part))
        offsets.append(start)
        end = start + len(part)
    return Layout(parts, offsets, end)


def read(name: str, view: memoryview, serial: int) -> tuple[memoryview, Sequence[memoryview]]:
    """Return stream and buffers of the block, as views; raises `DatasetError` when it holds another value by now."""
    found, count = _HEADER.unpack_from(view)
    if found != serial:
        raise DatasetError(f"{name}: its value in shared memory was dropped, so it cannot be loaded any more")
    parts: list[memoryview] = []
    end = _HEADER.size + count * _LENGTH.size
    for at in range(count):
        (length,) = _LENGTH.unpack_from(view, _HEADER.size + at * _LENGTH.size)
        start = _start(end, length)
        end = start + length
        parts.append(view[start:end])
    return parts[0], parts[1:]


def _start(end: int, length: int) -> int:
    alignment = _PAGE if length >= _LARGE else _ALIGNMENT
    return -(-end // alignment) * alignment
