"""System calls on Linux, through the C library: a mapping made so costs no descriptor."""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["is_dumpable", "is_gone", "map_private", "map_shared", "punch"]

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = [
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int64,
]
_libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

_MAP_FAILED = ctypes.c_void_p(-1).value
_FALLOC_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01
_PR_GET_DUMPABLE = 3


def map_shared(fd: int, size: int) -> memoryview:
    """Map the first `size` bytes, to be read and written together with other processes; raises `OSError`.

    It ends with its last view. `size` may go beyond what has been written.
    """
    return _map(fd, 0, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED, _nothing)


def map_private(fd: int, offset: int, size: int, readonly: bool, release: Callable[[], None]) -> memoryview:
    """Map `size` bytes at `offset` so that what is written to them stays in this process; raises `OSError`.

    `readonly`: so that writing is refused, by the view and by the hardware. It ends with its last view,
    slices and arrays over it included; then `release` is called, in any thread, but not in a process that was
    forked off.
    """
    if readonly:
        return _map(fd, offset, size, mmap.PROT_READ, mmap.MAP_PRIVATE, release).toreadonly()
    return _map(fd, offset, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_PRIVATE, release)


def punch(fd: int, offset: int, size: int) -> None:
    """Give the memory behind these bytes back to the system; they read as zeros then."""
    # A file system that cannot do it keeps the pages until the file goes: no reason to fail.
    _libc.fallocate(fd, _FALLOC_PUNCH_HOLE_KEEP_SIZE, offset, size)


def is_gone(pid: int) -> bool:
    """Say whether this process has ended, reaped or not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return True
    return stat.rpartition(b") ")[2][:1] in {b"Z", b"X"}


def is_dumpable() -> bool:
    """Say whether other processes of this user may open this one's descriptors through /proc."""
    return bool(_libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 1)


def _map(fd: int, offset: int, size: int, protection: int, flags: int, release: Callable[[], None]) -> memoryview:
    address = _libc.mmap(None, size, protection, flags, fd, offset)
    if address == _MAP_FAILED:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    memory = (ctypes.c_char * size).from_address(address)
    # Not at exit: views may be read later than that, and the system unmaps everything anyway.
    weakref.finalize(memory, _unmap, os.getpid(), address, size, release).atexit = False
    return memoryview(memory).cast("B")


def _unmap(pid: int, address: int, size: int, release: Callable[[], None]) -> None:
    if os.getpid() == pid:
        _libc.munmap(address, size)
        release()


def _nothing() -> None:
    pass
