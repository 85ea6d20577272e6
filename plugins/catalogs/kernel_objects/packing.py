"""How a value lies in an object: a header with the lengths of its parts, then the pickle stream and the buffers."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

from kernel.errors import DatasetError
from kernel.values import pickling

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel.values.pickling import Dumped

__all__ = ["Part", "pack", "unpack"]

#: A piece of an object's content.
Part = bytes | memoryview

_MAGIC = b"kernel 1"
#: Every part starts at a multiple of this: arrays that lie in the memory of an object are aligned.
_GRAIN = 64


def pack(dumped: Dumped) -> list[Part]:
    """Return the content of the object, in parts that show later changes of the value."""
    contents = [memoryview(dumped.stream), *dumped.buffers]
    lengths = [content.nbytes for content in contents]
    parts: list[Part] = [_MAGIC + struct.pack(f"<{len(lengths) + 1}Q", len(lengths), *lengths)]
    at = len(parts[0])
    for content in contents:
        if padding := -at % _GRAIN:
            parts.append(bytes(padding))
        if content.nbytes:
            parts.append(content)
        at += padding + content.nbytes
    return parts


def unpack(name: str, memory: memoryview, *, readonly: bool) -> Any:
    """Rebuild the value of dataset `name` over the object's memory, which it keeps; raises `DatasetError`."""
    try:
        contents = _contents(memory)
    except (struct.error, ValueError):
        raise DatasetError(f"{name}: what is in its object is not what was saved there") from None
    buffers = [content.toreadonly() for content in contents[1:]] if readonly else contents[1:]
    return pickling.load(name, contents[0], buffers)


def _contents(memory: memoryview) -> Sequence[memoryview]:
    start = len(_MAGIC)
    if bytes(memory[:start]) != _MAGIC:
        raise ValueError
    (count,) = struct.unpack_from("<Q", memory, start)
    lengths = struct.unpack_from(f"<{count}Q", memory, start + 8)
    at = start + 8 + 8 * count
    contents: list[memoryview] = []
    for length in lengths:
        at += -at % _GRAIN
        contents.append(memory[at : at + length])
        at += length
    if at > len(memory):
        raise ValueError
    return contents
