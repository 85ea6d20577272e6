"""System calls on Linux, through the C library: a mapping made so costs no descriptor."""

from __future__ import annotations

import ctypes
import mmap
import os
import weakref

__all__ = ["give_back", "is_dumpable", "map_memory", "map_shared", "punch", "unmap"]

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
_libc.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]

_MAP_FAILED = ctypes.c_void_p(-1).value
_FALLOC_PUNCH_HOLE_KEEP_SIZE = 0x02 | 0x01
_PR_GET_DUMPABLE = 3


def map_shared(fd: int, size: int) -> memoryview:
    """Map the first `size` bytes, to be read and written together with other processes; raises `OSError`.

    It ends with its last view. `size` may go beyond what has been written.
    """
    address = _map(fd, 0, size, mmap.PROT_READ | mmap.PROT_WRITE, mmap.MAP_SHARED)
    memory = (ctypes.c_char * size).from_address(address)
    # Not at exit: views may be used later than that, and the system unmaps everything anyway.
    weakref.finalize(memory, unmap, address, size).atexit = False
    return memoryview(memory).cast("B")


def map_memory(fd: int, offset: int, size: int, readonly: bool) -> int:
    """Map `size` bytes at `offset` so that what is written to them stays in this process; return the address.

    It stays until `unmap`. Raises `OSError`.
    """
    protection = mmap.PROT_READ if readonly else mmap.PROT_READ | mmap.PROT_WRITE
    return _map(fd, offset, size, protection, mmap.MAP_PRIVATE)


def unmap(address: int, size: int) -> None:
    """End a mapping."""
    _libc.munmap(address, size)


def give_back(address: int, size: int) -> None:
    """Drop what was written to these pages of a private mapping: they show the file again; raises `OSError`."""
    if _libc.madvise(address, size, mmap.MADV_DONTNEED):
        raise _error()


def punch(fd: int, offset: int, size: int) -> None:
    """Give the memory behind these bytes back to the system; they read as zeros then."""
    # A file system that cannot do it keeps the pages until the file goes: no reason to fail.
    _libc.fallocate(fd, _FALLOC_PUNCH_HOLE_KEEP_SIZE, offset, size)


def is_dumpable() -> bool:
    """Say whether other processes of this user may open this one's descriptors through /proc."""
    return bool(_libc.prctl(_PR_GET_DUMPABLE, 0, 0, 0, 0) == 1)


def _map(fd: int, offset: int, size: int, protection: int, flags: int) -> int:
    address = _libc.mmap(None, size, protection, flags, fd, offset)
    if address == _MAP_FAILED:
        raise _error()
    return int(address)


def _error() -> OSError:
    error = ctypes.get_errno()
    return OSError(error, os.strerror(error))
