"""The lease table of a slot: who has what mapped, the process in the slot itself or children that were forked off it.

An entry is written by the process in the slot and read by the runner's. It outlasts the mapping where children were
forked meanwhile, which have a copy of it: then it names the marks by which these are known, and counts as long as any
process has one of them, also when the process in the slot is gone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_shared_memory import marks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kernel_shared_memory.control import Range

__all__ = ["MARK_WORDS", "UNKNOWN", "LeaseTable"]

#: An entry's first word has the arena, from 1, above this bit and the grain below; the highest bit says that the
#: process in the slot has the mapping itself.
_ARENA_BIT = 40
_GRAIN = (1 << _ARENA_BIT) - 1
_OWN = 1 << 63
#: The second word has the entry's marks above this bit, one bit for each, and the number of grains below.
_MARKS_BIT = 32
_COUNT = (1 << _MARKS_BIT) - 1
#: Beside the entries stand the numbers of the marks, each plus one, and how many entries have ever been in use.
MARK_WORDS = 32
_CELLS = MARK_WORDS - 2
_HIGH = MARK_WORDS - 1
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

    def leases(self) -> list[tuple[int, Range]]:
        """Return arena and part of each mapping that the process in the slot has, or a child of it that lives."""
        words = self._entries[: 2 * self.high].tolist()
        keys, rests = words[::2], words[1::2]
        found = [_lease(key, rest) for key, rest in zip(keys, rests, strict=True) if key >= _OWN]
        if len(found) + keys.count(0) < len(keys):
            living = self._living()
            pairs = zip(keys, rests, strict=True)
            found += [_lease(key, rest) for key, rest in pairs if 0 < key < _OWN and rest >> _MARKS_BIT & living]
        return found

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


def _lease(key: int, rest: int) -> tuple[int, Range]:
    return ((key & ~_OWN) >> _ARENA_BIT) - 1, (key & _GRAIN, rest & _COUNT)
