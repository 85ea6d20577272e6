"""Locks that end with the process that holds them: they tell a saver at work from one that was killed."""

from __future__ import annotations

import fcntl
from contextlib import suppress

__all__ = ["hold", "is_held"]


def hold(descriptor: int) -> None:
    """Lock an open file until it is closed, or its process ends; a file system without locks goes without."""
    with suppress(OSError):
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def is_held(descriptor: int) -> bool | None:
    """Say whether somebody else holds the file, and hold it if nobody does; None where locks are unknown."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return None
    return False
