"""Blocks that were dropped, until no process has them mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_shared_memory.leasetable import leases_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_shared_memory.control import Range, Slot

__all__ = ["Waiting"]

#: Arena and first grain.
_Key = tuple[int, int]
#: So many bytes of a table are read at once where it has changed: 32 leases.
_STRETCH = 512


class Waiting:
    """Parts that wait for the leases in `slots` to end.

    Of the tables of leases only those stretches are read that have changed, and only leases that ended since are looked
    up among the parts: many that wait, and many that are mapped, cost hardly more than few. A part comes here after its
    block was dropped, so no lease of it begins any more.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = slots
        self._tables = [b""] * len(slots)
        #: How many leases there are of each part, when the tables were read last.
        self._leases: dict[_Key, int] = {}
        self._new: list[tuple[int, Range]] = []
        self._held: dict[_Key, Range] = {}

    def __bool__(self) -> bool:
        return bool(self._new or self._held)

    def add(self, arena: int, part: Range) -> None:
        """Take a part whose block was dropped."""
        self._new.append((arena, part))

    def ready(self) -> list[tuple[int, Range]]:
        """Return the parts, with their arenas, that no process has mapped any more."""
        if not self:
            return []
        ended = self._look()
        found = [(key[0], self._held.pop(key)) for key in ended if key in self._held]
        new, self._new = self._new, []
        for arena, part in new:
            if (arena, part[0]) in self._leases:
                self._held[arena, part[0]] = part
            else:
                found.append((arena, part))
        return found

    def _look(self) -> set[_Key]:
        """Read what has changed in the tables; return the keys of parts that had leases and have none any more."""
        ended: set[_Key] = set()
        for at, slot in enumerate(self._slots):
            words, before = slot.table.words(), self._tables[at]
            if words == before:
                continue
            self._tables[at] = words
            for start in range(0, max(len(words), len(before)), _STRETCH):
                stretch = slice(start, start + _STRETCH)
                if words[stretch] != before[stretch]:
                    ended.update(self._count(before[stretch], -1))
                    self._count(words[stretch], 1)
        gone = {key for key in ended if not self._leases[key]}
        for key in gone:
            del self._leases[key]
        return gone

    def _count(self, stretch: bytes, by: int) -> list[_Key]:
        keys = [(arena, part[0]) for arena, part in leases_in(stretch)]
        for key in keys:
            self._leases[key] = self._leases.get(key, 0) + by
        return keys
