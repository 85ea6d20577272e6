"""Which pages of a private mapping differ from its file, as Linux tells in /proc/self/pagemap."""

from __future__ import annotations

import mmap
import re
from functools import cache

__all__ = ["can_tell", "written"]

_PRESENT, _SWAPPED, _OF_FILE = 0x80, 0x40, 0x20
#: For the highest byte of a page's entry: whether the page is a copy that this process wrote. One that is still the
#: file's own, or is not mapped at all, is not; one in swap space is taken for a copy.
_WRITTEN = bytes(bool(byte & _SWAPPED or (byte & _PRESENT and not byte & _OF_FILE)) for byte in range(256))
_ENTRY = 8
_RUN = re.compile(b"\1+")


def written(address: int, size: int) -> list[tuple[int, int]]:
    """Return address and size of each run of pages that were written, of the mapping at `address`; raises OSError."""
    count = -(-size // mmap.PAGESIZE)
    with open("/proc/self/pagemap", "rb", buffering=0) as file:  # noqa: PTH123 - a Path cannot be opened as cheaply
        file.seek(address // mmap.PAGESIZE * _ENTRY)
        entries = file.read(count * _ENTRY)
    if len(entries) != count * _ENTRY:
        raise OSError("/proc/self/pagemap ended early")
    # The last byte of each entry is the highest on the byte order that is read so; `can_tell` has tried it.
    runs = (match.span() for match in _RUN.finditer(entries[_ENTRY - 1 :: _ENTRY].translate(_WRITTEN)))
    return [(address + start * mmap.PAGESIZE, (end - start) * mmap.PAGESIZE) for start, end in runs]


@cache
def can_tell() -> bool:
    """Try it on a page of this program's file: read only, then written."""
    import ctypes  # noqa: PLC0415 - loaded already where mappings are made

    try:
        with open("/proc/self/exe", "rb") as file:  # noqa: PTH123 - as above
            memory = mmap.mmap(file.fileno(), mmap.PAGESIZE, access=mmap.ACCESS_COPY)
        address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        first = memory[0]
        before = written(address, mmap.PAGESIZE)
        memory[0] = first
        return not before and written(address, mmap.PAGESIZE) == [(address, mmap.PAGESIZE)]
    except (OSError, ValueError):
        return False
