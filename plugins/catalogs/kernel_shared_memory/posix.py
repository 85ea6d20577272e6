"""System calls where there is nothing but POSIX: a mapping costs a descriptor as long as it lives."""

from __future__ import annotations

import mmap
import os
import weakref
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["is_gone", "map_private", "map_shared", "punch"]


def map_shared(fd: int, size: int) -> memoryview:
    """Map the first `size` bytes, to be read and written together with other processes; raises `OSError`.

    It ends with its last view. `size` may go beyond what has been written.
    """
    return memoryview(mmap.mmap(fd, size, access=mmap.ACCESS_WRITE))


def map_private(fd: int, offset: int, size: int, readonly: bool, release: Callable[[], None]) -> memoryview:
    """Map `size` bytes at `offset` so that what is written to them stays in this process; raises `OSError`.

    `readonly`: so that writing is refused, by the view and by the hardware. It ends with its last view,
    slices and arrays over it included; then `release` is called, in any thread, but not in a process that was
    forked off.
    """
    access = mmap.ACCESS_READ if readonly else mmap.ACCESS_COPY
    memory = mmap.mmap(fd, size, access=access, offset=offset)
    # Not at exit: a view may be read later than that, and other processes see this one go.
    weakref.finalize(memory, _released, os.getpid(), release).atexit = False
    return memoryview(memory)


def punch(fd: int, offset: int, size: int) -> None:
    """Keep the memory until the file goes: there is no portable way to give back a part."""
    del fd, offset, size


def is_gone(pid: int) -> bool:
    """Say whether this process has ended and was reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


def _released(pid: int, release: Callable[[], None]) -> None:
    if os.getpid() == pid:
        release()
