"""The control segment: one page table of words for each worker's slot, each word written by one process at a time.

There are no atomic operations in Python, so nothing here needs any. A lease is written and cleared by the
process that holds the mapping and read by the runner's (`leasetable`). A lease is written before the outcome of
the turn that loaded it is sent, so that who has the outcome sees the lease. Free parts go back to the owner of
an arena by a ring (`kernel_shared_memory.returns`).
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kernel import processes
from kernel_shared_memory import system
from kernel_shared_memory.leasetable import MARK_WORDS, LeaseTable
from kernel_shared_memory.returns import CELLS, Returns

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Range", "Slot", "locked", "map_control", "map_slot", "size_of"]

#: First grain and number of grains of a part of an arena.
Range = tuple[int, int]

#: Words of 8 bytes in a slot: the header, the marks of leases, the ring of parts that are given back, then two words
#: for each lease.
_MARKS = 32
_RETURNS = 64
_LEASE_WORDS = _RETURNS + CELLS
_WORDS = 2240
# The header's words; the last two are the ring's.
_PID, _TOP, _SERIAL, _STARTED, _RECALLS, _TAKEN, _RETURNED, _COUNTS = range(8)


def size_of(slots: int) -> int:
    """Return the bytes that a control segment for this many slots takes."""
    return slots * _WORDS * 8


class Slot:
    """What the runner's process and the process in this slot tell each other."""

    def __init__(self, words: memoryview) -> None:
        self._words = words
        #: What the process in the slot has mapped.
        self.table = LeaseTable(words[_MARKS : _MARKS + MARK_WORDS], words[_LEASE_WORDS:])
        #: The free parts of the slot's arena that its owner gets back.
        self.returns = Returns(words[_RETURNS:_LEASE_WORDS], words[_COUNTS : _COUNTS + 2])

    @property
    def pid(self) -> int:
        """The process in this slot; 0: none yet, or it is known to be gone."""
        return self._words[_PID]

    @property
    def top(self) -> int:
        """The first grain of the slot's arena that was never used."""
        return self._words[_TOP]

    @top.setter
    def top(self, grain: int) -> None:
        self._words[_TOP] = grain

    @property
    def serial(self) -> int:
        """The number of the last block that was written to the slot's arena."""
        return self._words[_SERIAL]

    def next_serial(self) -> int:
        """Return a number that no block of this arena ever had; for its owner."""
        self._words[_SERIAL] += 1
        return self._words[_SERIAL]

    @property
    def used(self) -> int:
        """The bytes of memory behind the slot's arena, or soon to be."""
        return max(0, self._words[_TAKEN] - self._words[_RETURNED])

    def take(self, size: int) -> None:
        """Note that the arena takes so many bytes of memory more, or less; for its owner."""
        self._words[_TAKEN] = max(0, self._words[_TAKEN] + size)

    def give_back(self, size: int) -> None:
        """Note that so many bytes of its memory were given back to the system; for the runner's process."""
        self._words[_RETURNED] += size

    def count_anew(self, used: int) -> None:
        """Note what memory there is in fact behind the arena, while its owner is idle or gone."""
        self._words[_TAKEN] = used + self._words[_RETURNED]

    @property
    def recalls(self) -> int:
        """How often what the owner of the arena had free was taken back: what was free before is not any more."""
        return self._words[_RECALLS]

    def recall(self) -> None:
        """Take back what the owner, which is idle or gone, has free; for the runner's process."""
        self._words[_RECALLS] += 1
        self.returns.clear()

    @property
    def is_gone(self) -> bool:
        """Whether the process in the slot has ended for certain."""
        return bool(self.pid) and processes.is_gone(self.pid, self._words[_STARTED])

    def take_over(self, pid: int) -> None:
        """Enter a process; what the one before it leased is void, as that process is gone."""
        self.clear_leases()
        self._words[_STARTED] = processes.started(pid)
        self._words[_PID] = pid

    def clear_leases(self) -> None:
        """Void all leases but those that children hold on to; the process that took them must be gone."""
        self.table.void()
        self._words[_PID] = 0


def map_slot(control: memoryview, number: int) -> Slot:
    """Return the slot of that number in a mapped control segment."""
    return Slot(control.cast("Q")[number * _WORDS : (number + 1) * _WORDS])


def map_control(fd: int, slots: int) -> memoryview:
    """Map a control segment."""
    return system.map_shared(fd, size_of(slots))


@contextmanager
def locked(fd: int, number: int) -> Generator[None]:
    """Keep other processes from taking a slot over, or from clearing it, meanwhile."""
    start = number * _WORDS * 8
    fcntl.lockf(fd, fcntl.LOCK_EX, 1, start, os.SEEK_SET)
    try:
        yield
    finally:
        fcntl.lockf(fd, fcntl.LOCK_UN, 1, start, os.SEEK_SET)
