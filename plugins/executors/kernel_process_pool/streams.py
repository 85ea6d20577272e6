"""The runner's ends of its streams to other processes: a fork of the runner lets go of them, and of nothing else.

While a child holds a copy of one, the end of the runner is never seen at the other. Descriptors that are not ours,
those of libraries and of the user, stay as a fork leaves them.
"""

from __future__ import annotations

import os
import socket
from weakref import WeakSet

__all__ = ["close_ours", "open_stream"]

#: As many bytes should fit into a stream at once, as far as the system allows it: while the runner makes ready for the
#: first nodes, the program of a large pipeline arrives and is taken up.
_SENT_AT_ONCE = 1 << 20
_ours: WeakSet[socket.socket] = WeakSet()


def open_stream() -> tuple[socket.socket, socket.socket]:
    """Return the two ends of a new stream: the runner's own, and the one that another process gets.

    Raises OSError when there are no descriptors.
    """
    ours, theirs = socket.socketpair()
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SENT_AT_ONCE)
    _ours.add(ours)
    return ours, theirs


def close_ours(keep: int) -> None:
    """Close the runner's ends in a child that was forked off it; `keep` is a descriptor that is none of them."""
    for stream in list(_ours):
        fd = stream.detach()
        if fd not in {-1, keep}:
            os.close(fd)
