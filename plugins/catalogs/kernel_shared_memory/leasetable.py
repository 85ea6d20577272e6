"""The lease table of a slot: who has what mapped, the process in the slot itself or children that were forked off it.

An entry is written by the process in the slot and read by the runner's. It outlasts the mapping where children were
forked meanwhile, which have a copy of it: then it names the marks by which these are known, and counts as long as any
process has one of them, also when the process in the slot is gone.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from kernel_shared_memory import marks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_shared_memory.control import Range

__all__ = ["MARK_WORDS", "UNKNOWN", "LeaseTable", "leases_in"]

#: An entry's first word has the arena, from 1, above this bit and the grain below; the highest bit says that the
#: process in the slot has the mapping itself.
_ARENA_BIT = 40
_GRAIN = (1 << _ARENA_BIT) - 1
_OWN = 1 << 63
#: The second word has the entry's marks above this bit, one bit for each, and the number of grains below.
_MARKS_BIT = 32
_COUNT = (1 << _MARKS_BIT) - 1
#: Beside the entries stand the numbers of the marks, each plus one, how many entries have ever been in use, and whether
#: any may be left to children alone. That is no count: leases end in any thread, at any moment, and without a lock.
MARK_WORDS = 32
_CELLS = MARK_WORDS - 3
_HIGH, _LEFT = MARK_WORDS - 2, MARK_WORDS - 1
#: This bit stands for children of which nobody can tell whether they live.
UNKNOWN = 1 << _CELLS


class LeaseTable:
    """The entries of a slot, and the marks that they name."""

    def __init__(self, cells: memoryview, entries: memoryview) -> None:
        self._cells = cells
        self._entries = entries

    def __len__(self) -> int:
        """How many entries there is room for."""
        return len(self._entries) // 2

    @property
    def high(self) -> int:
        """One more than the highest entry that was ever in use."""
        return self._cells[_HIGH]

    def words(self) -> bytes:
        """Return the entries that count now, for `leases_in`: those of the process in the slot and of living children.

        The same words mean the same leases.
        """
        words = self._entries[: 2 * self.high]
        if not self._cells[_LEFT]:  # one that is left at this moment counts
            return words.tobytes()
        living, entries = self._living(), array("Q", words)
        for at in range(0, len(entries), 2):
            if entries[at] < _OWN and not entries[at + 1] >> _MARKS_BIT & living:
                entries[at] = 0
        return entries.tobytes()

    # -- for the process in the slot ------------------------------------------------------------------------------

    def write(self, index: int, arena: int, part: Range, marked: int = 0) -> None:
        """Note a mapping. `marked` are the marks that whoever is forked off meanwhile has, each a bit."""
        self._entries[2 * index + 1] = marked << _MARKS_BIT | part[1]
        self._entries[2 * index] = _OWN | (arena + 1) << _ARENA_BIT | part[0]
        if index >= self.high:
            self._cells[_HIGH] = index + 1

    def marked(self, index: int) -> int:
        """Return the marks of an entry."""
        return self._entries[2 * index + 1] >> _MARKS_BIT

    def clear(self, index: int) -> None:
        """Note that nobody has the mapping any more."""
        self._entries[2 * index] = 0

    def leave(self, index: int, marked: int) -> None:
        """Note that only children have the mapping any more, which have one of these marks."""
        self._entries[2 * index + 1] = marked << _MARKS_BIT | (self._entries[2 * index + 1] & _COUNT)
        self._entries[2 * index] &= ~_OWN
        self._cells[_LEFT] = 1

    def add_mark(self, number: int) -> int | None:
        """Mark all mappings of the process with one more, and return its bit; None when there is no room for it.

        Call `prune` first: what an ended mark leaves behind is used again.
        """
        cells = self._cells[:_CELLS].tolist()
        if 0 not in cells:
            return None
        cell = cells.index(0)
        self._cells[cell] = number + 1
        self.mark(1 << cell)
        return 1 << cell

    def mark(self, bit: int) -> None:
        """Mark all mappings of the process."""
        for index in range(self.high):
            if self._entries[2 * index] >= _OWN:
                self._entries[2 * index + 1] |= bit << _MARKS_BIT

    @property
    def has_room(self) -> bool:
        """Whether there is a cell for one more mark."""
        return 0 in self._cells[:_CELLS].tolist()

    def prune(self, but: int = 0) -> Iterator[int]:
        """Clear what was left to children that have ended, and yield the entries.

        `but`: marks that no child has, although they are somebody's.
        """
        living = self._living() & ~but
        self._cells[_LEFT] = 0  # before they are looked at, since one may be left meanwhile
        for index in range(self.high):
            if 0 < self._entries[2 * index] < _OWN:
                left = self.marked(index) & living
                if left:
                    self.leave(index, left)
                else:
                    self.clear(index)
                    yield index
        for cell in range(_CELLS):
            if not (living | but) >> cell & 1:
                self._cells[cell] = 0

    # -- for whoever knows that the process in the slot is gone -----------------------------------------------------

    def void(self) -> None:
        """Clear all entries but those that children hold on to."""
        living, high = self._living(), 0
        self._cells[_LEFT] = 0
        for index in range(self.high):
            left = self.marked(index) & living if self._entries[2 * index] else 0
            if left:
                self.leave(index, left)
                high = index + 1
            else:
                self.clear(index)
        self._cells[_HIGH] = high

    def free(self) -> list[int]:
        """List the entries below `high` that are not in use."""
        return [index for index in range(self.high) if not self._entries[2 * index]]

    def _living(self) -> int:
        """Return the marks that any process has."""
        numbers = self._cells[:_CELLS].tolist()
        living = [1 << cell for cell, number in enumerate(numbers) if number and marks.holders(number - 1)]
        return sum(living, UNKNOWN)


def leases_in(words: bytes) -> list[tuple[int, Range]]:
    """Return arena and part of each mapping in the words of a table."""
    entries = memoryview(words).cast("Q").tolist()
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return [(((key & ~_OWN) >> _ARENA_BIT) - 1, (key & _GRAIN, rest & _COUNT)) for key, rest in pairs if key]
