"""The control segment: one page table of words for each worker's slot, each word written by one process at a time.

There are no atomic operations in Python, so nothing here needs any. A lease is written and cleared by the
process that holds the mapping and read by the runner's (`leasetable`). A cell of the mailbox is filled by the runner's
process when it is zero and zeroed by the owner of the arena when it is not. A lease is written before the
outcome of the turn that loaded it is sent, so that who has the outcome sees the lease.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from kernel import processes
from kernel_shared_memory import system
from kernel_shared_memory.leasetable import MARK_WORDS, LeaseTable

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Mail", "Range", "Slot", "locked", "map_control", "map_slot", "size_of"]

#: First grain and number of grains of a part of an arena.
Range = tuple[int, int]
#: A part that is given back to its arena's owner, and whether there is memory behind it.
Mail = tuple[int, int, bool]

#: Words of 8 bytes in a slot: the header, the marks of leases, the mailbox, then two words for each lease.
_MARKS = 32
_MAIL = 64
_LEASE_WORDS = 192
_WORDS = 2240
_NO_MAIL = bytes(8 * (_LEASE_WORDS - _MAIL))
# The header's words.
_PID, _TOP, _SERIAL, _CLOSED, _DEAL, _TAKEN, _RETURNED, _STARTED = range(8)
#: A mailbox cell has the number of grains above this bit and the first grain below; the highest bit says that there is
#: memory behind them.
_COUNT_BIT, _WARM_BIT = 32, 63


def size_of(slots: int) -> int:
    """Return the bytes that a control segment for this many slots takes."""
    return slots * _WORDS * 8


class Slot:
    """What the runner's process and the process in this slot tell each other."""

    def __init__(self, words: memoryview) -> None:
        self._words = words
        self._mail = words[_MAIL:_LEASE_WORDS]
        #: What the process in the slot has mapped.
        self.table = LeaseTable(words[_MARKS : _MARKS + MARK_WORDS], words[_LEASE_WORDS:])
        self._next_cell = 0

    @property
    def pid(self) -> int:
        """The process in this slot; 0: none yet, or it is known to be gone."""
        return self._words[_PID]

    @property
    def is_closed(self) -> bool:
        """Whether the process closed its store in good order, and gave free parts back to the system itself."""
        return bool(self._words[_CLOSED])

    def mark_closed(self) -> None:
        """Note that this process writes no more; for the process in the slot."""
        self._words[_CLOSED] = 1

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
    def deal(self) -> int:
        """How often the free parts of the arena were dealt out anew, by mail: what was free before no longer counts."""
        return self._words[_DEAL]

    def deal_anew(self) -> None:
        """Empty the mailbox, and void what the owner, which is idle, holds for free; for the runner's process."""
        self._words[_DEAL] += 1
        self.take_mail()

    @property
    def is_gone(self) -> bool:
        """Whether the process in the slot has ended for certain."""
        return bool(self.pid) and processes.is_gone(self.pid, self._words[_STARTED])

    def take_over(self, pid: int) -> None:
        """Enter a process; what the one before it leased is void, as that process is gone."""
        self.clear_leases()
        self._words[_CLOSED] = 0
        self._words[_STARTED] = processes.started(pid)
        self._words[_PID] = pid

    def post(self, part: Range, warm: bool = True) -> bool:
        """Give a part of the arena back to its owner; False when its mailbox is full. For the runner's process.

        `warm`: there is memory behind it.
        """
        cells = len(self._mail)
        for step in range(cells):
            cell = (self._next_cell + step) % cells
            if not self._mail[cell]:
                self._mail[cell] = warm << _WARM_BIT | part[1] << _COUNT_BIT | part[0]
                self._next_cell = cell + 1
                return True
        return False

    def take_mail(self) -> list[Mail]:
        """Return the parts that were given back; for the arena's owner."""
        if self._mail.tobytes() == _NO_MAIL:
            return []
        parts: list[Mail] = []
        for cell, word in enumerate(self._mail.tolist()):
            if word:
                self._mail[cell] = 0
                count = (word & ((1 << _WARM_BIT) - 1)) >> _COUNT_BIT
                parts.append((word & ((1 << _COUNT_BIT) - 1), count, bool(word >> _WARM_BIT)))
        return parts

    def leases(self) -> list[tuple[int, Range]]:
        """Return arena and part of each mapping that the process in the slot has, or a child of it that lives."""
        return self.table.leases()

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
