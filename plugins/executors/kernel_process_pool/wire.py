"""The messages between the runner and a worker: a length, a kind, a body, on one stream socket."""

from __future__ import annotations

import pickle
import struct
from array import array
from collections.abc import Iterator, Sequence
from enum import IntEnum
from itertools import repeat
from typing import TYPE_CHECKING, Any

from kernel.specs.events import Outcomes

if TYPE_CHECKING:
    from kernel_remote.turns import Sent

__all__ = [
    "HEADER",
    "Inbox",
    "Kind",
    "frame",
    "pack_outcomes",
    "pack_turns",
    "unpack_outcomes",
    "unpack_turns",
]

#: Length of the body (bytes) and kind. Eight bytes for the length: a value that travels inline may pass 4 GiB.
HEADER = struct.Struct("<QB")


class Kind(IntEnum):
    """What a message is."""

    # to the worker
    PROGRAM = 1
    TASKS = 2
    QUIT = 3
    # to the runner
    READY = 10
    OUTCOMES = 11
    LOG = 12
    BROKEN = 13
    DROPPED = 14
    PUBLISHED = 15


def frame(kind: Kind, body: bytes) -> bytes:
    """Make a message ready to be sent."""
    return HEADER.pack(len(body), kind) + body


def pack_turns(turns: Sequence[Sent]) -> bytes:
    """Make the body of a TASKS message: columns, None for one in which all turns have what most have."""
    index, *columns = zip(*turns, strict=True)
    packed = [
        None if column.count(usual) == len(index) else column for column, usual in zip(columns, _USUAL, strict=True)
    ]
    return pickle.dumps((array("q", index).tobytes(), *packed), 5)


def unpack_turns(body: bytes) -> Iterator[Sent]:
    """Iterate over the turns of a TASKS message."""
    index, *columns = pickle.loads(body)
    full = [repeat(usual) if column is None else column for column, usual in zip(columns, _USUAL, strict=True)]
    return zip(array("q", index), *full)  # noqa: B905 - what is usual has no end


#: What most turns have: no handles, no last readers, the first attempt, no flags.
_USUAL: tuple[Any, ...] = ((), 0, 1, 0)


def pack_outcomes(batch: Outcomes) -> bytes:
    """Make the body of an OUTCOMES message."""
    times = struct.pack(f"{4 * len(batch)}d", *batch.start, *batch.loaded, *batch.ran, *batch.end)
    sizes = array("q", batch.bytes).tobytes() if any(batch.bytes) else None
    sparse = (batch.failures, batch.states, batch.attempts, batch.notes, batch.tokens)
    columns = (batch.worker, array("q", batch.index).tobytes(), batch.handles, times, sizes)
    return pickle.dumps((*columns, sparse if any(sparse) else ()), 5)


def unpack_outcomes(body: bytes) -> Outcomes:
    """Make the batch again; its columns of numbers are arrays, which take a third of the memory."""
    worker, index, handles, times, sizes, sparse = pickle.loads(body)
    index, times = array("q", index), array("d", times)
    count = len(index)
    starts, loads, runs, ends = (times[at * count : (at + 1) * count] for at in range(4))
    sizes = array("q", sizes or bytes(8 * count))
    return Outcomes(worker, index, handles, starts, loads, runs, ends, sizes, *sparse)


class Inbox:
    """Puts messages together from the pieces in which a stream delivers them."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0
        self._wanted = HEADER.size

    def feed(self, piece: bytes) -> Iterator[tuple[Kind, bytes]]:
        """Add what was received; yields each message that is complete now.

        Pieces are joined only when a whole message is there, so that a large one is copied once.
        """
        self._pieces.append(piece)
        self._size += len(piece)
        if self._size < self._wanted:
            return
        data = b"".join(self._pieces) if len(self._pieces) > 1 else piece
        at, self._wanted = 0, HEADER.size
        while len(data) - at >= HEADER.size:
            length, kind = HEADER.unpack_from(data, at)
            end = at + HEADER.size + length
            if end > len(data):
                self._wanted = HEADER.size + length
                break
            yield Kind(kind), data[at + HEADER.size : end]
            at = end
        rest = data[at:] if at else data
        self._pieces = [rest] if rest else []
        self._size = len(rest)
