"""Segments in anonymous memory files: no name, so nothing can be left behind, and not bound by the size of /dev/shm."""

from __future__ import annotations

import mmap
import os
import sys

from kernel_shared_memory.segment import Segment

__all__ = ["MemfdPlace", "is_usable"]


class MemfdPlace:
    """Other processes of this user open a segment by way of the runner's descriptor, as long as the runner lives."""

    def create(self, name: str, size: int) -> Segment:
        """Make a segment that takes no memory until it is written to; raises `OSError`."""
        fd = os.memfd_create(f"kernel-{name}", os.MFD_CLOEXEC)
        try:
            os.ftruncate(fd, size)
        except OSError:
            os.close(fd)
            raise
        return Segment(fd, f"/proc/{os.getpid()}/fd/{fd}", size)

    def describe(self) -> str:
        """Say where segments are, for messages."""
        return "memory"

    def close(self) -> None:
        """Nothing has a name; the system frees a segment with its last descriptor and mapping."""


def is_usable() -> bool:
    """Try it: make a segment, open it as another process would, write it, see that in a mapping."""
    if sys.platform != "linux" or not hasattr(os, "memfd_create"):
        return False
    from kernel_shared_memory.linux import is_dumpable  # noqa: PLC0415 - there is no such module elsewhere

    try:
        segment = MemfdPlace().create("probe", mmap.PAGESIZE)
    except OSError:
        return False
    try:
        other = os.open(segment.path, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.pwrite(other, b"probe", 0)
            with mmap.mmap(segment.fd, mmap.PAGESIZE, access=mmap.ACCESS_READ) as view:
                # A process may always open its own; a process that is not dumpable hides them from all
                # others.
                return view[:5] == b"probe" and is_dumpable()
        finally:
            os.close(other)
    except OSError:
        return False
    finally:
        os.close(segment.fd)
