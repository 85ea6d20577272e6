"""The large handles of a job, as they lie in Ray's object store: their bytes are neither pickled nor copied on the way.

What a job returns, Ray can make again when the node that held it dies: it runs the job once more. Nobody tells the
runner, so the new list says so itself (`again`), and the job that reads it passes the word on.
"""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any, SupportsIndex

from kernel.errors import DataLost

__all__ = ["Again", "Kept"]

#: A job that was run again after its answer: its number, and the report that it made then.
Again = tuple[int, bytes]


class Kept:
    """A list of handles. What is bytes in them is put beside the pickle, and read where it lies."""

    def __init__(self, parts: Sequence[Any], again: Sequence[Again] = ()) -> None:
        self._parts = parts
        self.again = again

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        return Kept, ([_outside(part) for part in self._parts], self.again)

    def __len__(self) -> int:
        return len(self._parts)

    def __getitem__(self, at: int) -> Any:
        """Return a handle; what is many buffers stays where it is. Raises `DataLost` when it was not made again."""
        if at >= len(self._parts):
            raise DataLost((), "the node that made it was run again after a loss, and failed")
        part = self._parts[at]
        if isinstance(part, tuple):
            stream, *buffers = part
            return (_bytes(stream), *[memoryview(each) for each in buffers])
        return _bytes(part)

    def own(self) -> list[Any]:
        """Return the handles in memory of this process's own: the store's is gone with the connection."""
        return [tuple(map(_bytes, part)) if isinstance(part, tuple) else _bytes(part) for part in self._parts]


def _outside(part: Any) -> Any:
    if isinstance(part, bytes):
        return pickle.PickleBuffer(part)
    if isinstance(part, tuple) and all(isinstance(each, bytes) for each in part):
        return tuple(map(pickle.PickleBuffer, part))
    return part


def _bytes(part: Any) -> Any:
    return part if isinstance(part, str | bytes) else bytes(part)
