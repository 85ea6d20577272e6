"""Blocks that were dropped, until no process has them mapped."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_shared_memory.control import leases_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel_shared_memory.control import Range, Slot

__all__ = ["Waiting"]

#: Arena and first grain.
_Key = tuple[int, int]


class Waiting:
    """Parts that wait for the leases in `slots` to end.

    Tables of leases are read again only when they have changed, and only leases that ended since are looked up among
    the parts: many that wait cost no more than few. A part comes here after its block was dropped, so no lease of it
    begins any more.
    """

    def __init__(self, slots: Sequence[Slot]) -> None:
        self._slots = slots
        self._tables = [b""] * len(slots)
        self._leased: list[set[_Key]] = [set() for _ in slots]
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
        found: list[tuple[int, Range]] = []
        new, self._new = self._new, []
        for arena, part in new:
            if self._is_leased((arena, part[0])):
                self._held[arena, part[0]] = part
            else:
                found.append((arena, part))
        free = [key for key in ended if key in self._held and not self._is_leased(key)]
        return found + [(key[0], self._held.pop(key)) for key in free]

    def _look(self) -> set[_Key]:
        """Read the tables that have changed; return the leases that ended since they were read last."""
        ended: set[_Key] = set()
        for at, slot in enumerate(self._slots):
            words = slot.lease_words()
            if words != self._tables[at]:
                self._tables[at] = words
                leased = {(arena, part[0]) for arena, part in leases_in(words)}
                ended |= self._leased[at] - leased
                self._leased[at] = leased
        return ended

    def _is_leased(self, key: _Key) -> bool:
        return any(key in leased for leased in self._leased)
