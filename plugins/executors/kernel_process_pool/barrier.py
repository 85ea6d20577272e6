"""A memory barrier in all processes that take part: with it, one sees what another has written by then."""

from __future__ import annotations

import ctypes
import platform
import sys

__all__ = ["barrier", "join_barrier"]

#: Numbers of the system call membarrier(2), by machine, and of the two commands used.
_SYSCALL = {"x86_64": 324, "aarch64": 283}
_GLOBAL_EXPEDITED, _REGISTER_GLOBAL_EXPEDITED = 1 << 1, 1 << 2


def _membarrier(command: int) -> bool:
    number = _SYSCALL.get(platform.machine()) if sys.platform == "linux" else None
    return number is not None and ctypes.CDLL(None).syscall(number, command, 0, 0) == 0


def join_barrier() -> None:
    """Have this process, a worker, take part in the barriers of others."""
    _membarrier(_REGISTER_GLOBAL_EXPEDITED)


def barrier() -> bool:
    """Put a barrier into every thread that runs in a process that takes part; return whether the system can do that.

    It takes a few microseconds, also while such a thread holds its interpreter's lock.
    """
    return _membarrier(_GLOBAL_EXPEDITED)
