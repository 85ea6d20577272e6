"""The messages between the runner and a worker: a length, a kind, a body, on one stream socket."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum

__all__ = ["HEADER", "Inbox", "Kind", "frame"]

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


def frame(kind: Kind, body: bytes) -> bytes:
    """Make a message ready to be sent."""
    return HEADER.pack(len(body), kind) + body


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
