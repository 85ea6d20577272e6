"""Marks: what every process has that was forked off this one, so that the system can be asked whether any is left.

A mark is a piece of System V shared memory without a key, which is attached and never touched. The system counts who
has it attached. A fork adds to that count, whoever makes it and by whatever call; the end of a process, by SIGKILL too,
takes away from it, and so does the start of another program in its place: the very life of a mapping. A mark is marked
for removal when it is made, so it is gone once nobody has it. Any process can ask, and needs no descriptor for it.
"""

from __future__ import annotations

import ctypes
import errno
import sys
from functools import cache

from attrs import frozen

__all__ = ["Mark", "can_count", "holders", "make"]

_IPC_PRIVATE, _IPC_RMID, _IPC_STAT = 0, 0, 2
_MODE = 0o1600  # made anew, for this user alone
#: What the system says of a piece, in words, and which of them is the count: it comes after who may use the piece, its
#: size, three times of day and two processes. So it is on 64-bit Linux, for most processors; `can_count` tries it.
_Facts, _COUNT = ctypes.c_uint64 * 32, 11
_FAILED = ctypes.c_void_p(-1).value
_GONE = {errno.EINVAL, errno.EIDRM}

_libc = ctypes.CDLL(None, use_errno=True)
if sys.platform == "linux":
    _libc.shmat.restype = ctypes.c_void_p
    _libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]
    _libc.shmget.argtypes = [ctypes.c_int, ctypes.c_size_t, ctypes.c_int]
    _libc.shmdt.argtypes = [ctypes.c_void_p]
    _libc.shmctl.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]


@frozen
class Mark:
    """One that this process has: the number by which others ask for it, and the address where it is attached."""

    number: int
    address: int

    def drop(self) -> None:
        """Let go of it: from now on its holders are others."""
        _libc.shmdt(self.address)


def make() -> Mark | None:
    """Return a new mark that this process has; None where there can be none."""
    number = _libc.shmget(_IPC_PRIVATE, 1, _MODE)
    if number < 0:
        return None
    try:
        address = _libc.shmat(number, None, 0)
    finally:
        _libc.shmctl(number, _IPC_RMID, None)
    return None if address == _FAILED else Mark(number, address)


def holders(number: int) -> int:
    """Return how many processes have a mark; in doubt there is one more."""
    facts = _Facts()
    if _libc.shmctl(number, _IPC_STAT, facts) < 0:
        return 0 if ctypes.get_errno() in _GONE else sys.maxsize
    return facts[_COUNT]


@cache
def can_count() -> bool:
    """Try it: whether marks can be made, counted, and are gone when nobody has them."""
    if sys.platform != "linux":
        return False
    mark = make()
    if mark is None:
        return False
    again = _libc.shmat(mark.number, None, 0)
    counts = [holders(mark.number)]
    if again != _FAILED:
        _libc.shmdt(again)
    counts.append(holders(mark.number))
    mark.drop()
    return [*counts, holders(mark.number)] == [2, 1, 0]
