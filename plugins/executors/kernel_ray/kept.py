"""The large handles of a job, as they lie in Ray's object store: their bytes are neither pickled nor copied on the way.

What a job returns, Ray can make again when the node that held it dies: it runs the job once more. Nobody tells the
runner, so the new list says so itself (`again`), and the job that reads it passes the word on.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from itertools import islice
from typing import Any, SupportsIndex

__all__ = ["Again", "Kept"]

#: A job that was run again after its answer: its number, how often it had been started before, its new report.
Again = tuple[int, int, bytes]


class Kept:
    """A list of handles. What is bytes in them is put beside the pickle, and read where it lies."""

    def __init__(self, parts: Sequence[Any], again: Sequence[Again] = ()) -> None:
        self._parts = parts
        self.again = again

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return _arrived, (*_taken_apart(self._parts), self.again)

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, at: int) -> Any:
        """Return a handle; the buffers of a value stay where they are."""
        part = self._parts[at]
        return (_bytes(part[0]), *part[1:]) if _has_buffers(part) else _bytes(part)

    def own(self) -> list[Any]:
        """Return the handles in memory of this process's own: the store's is gone with the connection."""
        return [tuple(map(_bytes, part)) if _has_buffers(part) else _bytes(part) for part in self._parts]


def _taken_apart(parts: Sequence[Any]) -> tuple[Sequence[int | None], Sequence[Any]]:
    """Return all buffers, and of each handle how many are its own: 0 for one, None for what is no buffer."""
    counts: list[int | None] = []
    flat: list[Any] = []
    for part in parts:
        if _has_buffers(part):
            counts.append(len(part))
            flat += map(pickle.PickleBuffer, part)
        else:
            counts.append(0 if _is_bytes(part) else None)
            flat.append(part if counts[-1] is None else pickle.PickleBuffer(part))
    return counts, flat


def _arrived(counts: Sequence[int | None], flat: Sequence[Any], again: Sequence[Again]) -> Kept:
    parts: list[Any] = []
    rest = iter(flat)
    for count in counts:
        if count is None:
            parts.append(next(rest))
        else:
            views = [memoryview(each) for each in islice(rest, max(1, count))]
            parts.append(tuple(views) if count else views[0])
    return Kept(parts, again)


def _has_buffers(part: Any) -> bool:
    """Say whether a handle is a pickle and what was left out of it."""
    return part.__class__ is tuple and bool(part) and all(map(_is_bytes, part))


def _is_bytes(part: Any) -> bool:
    return isinstance(part, bytes | memoryview)


def _bytes(part: Any) -> Any:
    return bytes(part) if _is_bytes(part) else part
