"""One arena in the runner's books: its free parts, and what its owner has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_shared_memory.freelist import FreeList
from kernel_shared_memory.region import Region
from kernel_shared_memory.returns import MOST

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel_shared_memory.control import Range, Slot

__all__ = ["Account"]


class Account:
    """Each grain of an arena that was ever used is in one place, and changes places in one way.

    It is free here (`warm` with memory behind it, or `cold`); or the owner's, who has it free or has written a block
    there that nobody here was told about; or part of a block that somebody here was told about, which ends when no
    process has it mapped any more.

      free --- hand_out ---> the owner's --- adopt ---> a known block --- drop, and no lease ---> free
               free  <------- take_back ---

    None of this costs more when there are more blocks, nor does `take_back` look at those that are known.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self.warm = FreeList()
        self.cold = FreeList()
        self._owners = Region()
        #: All below belongs to somebody here; what the owner has used beyond is its own.
        self._top = 0
        #: The last block that was written before everything was taken back.
        self._swept = 0
        # Serial numbers grow, so a block is known by the last one that was told, or dropped, at its first grain.
        self._told: dict[int, int] = {}
        self._dropped: dict[int, int] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is free here."""
        return not (self.warm or self.cold)

    def adopt(self, part: Range, serial: int) -> None:
        """Note that a block is somebody's; nothing happens when that is known."""
        if self._told.get(part[0], self._swept) < serial:
            self._told[part[0]] = serial
            self._owners.flip(part)

    def drop(self, part: Range, serial: int) -> bool:
        """Note that nobody will load a block again; return False when that is known."""
        if self._dropped.get(part[0], 0) >= serial:
            return False
        self.adopt(part, serial)
        self._dropped[part[0]] = serial
        return True

    def is_swept(self, serial: int) -> bool:
        """Say whether a block, if nobody adopted it, was taken back since it was written."""
        return serial <= self._swept

    def hand_out(self) -> None:
        """Give free parts to the owner, as far as there is room on the way; the largest first."""
        returns = self._slot.returns
        for parts, warm in ((self.warm, True), (self.cold, False)):
            while parts and returns.has_room:
                part = parts.take_largest(MOST)
                self._owners.flip(part)
                returns.post(part, warm)

    def take_back(self, mapped: Iterable[Range]) -> tuple[list[Range], list[Range]]:
        """Take all that the owner has, which must be idle or gone; what it holds for free is void then.

        Blocks that it wrote and nobody was told about are lost. Of the parts that are `mapped` by any process, return
        those among it, which are not free yet; and then all the rest, with which the caller is to do something.
        """
        top = self._slot.top
        self._owners.flip((self._top, top - self._top))
        self._slot.recall()
        self._top, self._swept = top, self._slot.serial
        # A block that somebody has is dropped once, and handles of others are too old to be dropped.
        self._told.clear()
        self._dropped.clear()
        still = self._owners.cut(mapped)
        rest = self._owners.parts()
        self._owners.clear()
        return still, rest

    @property
    def has_lent(self) -> bool:
        """Whether the owner has anything."""
        return bool(self._owners) or self._slot.top != self._top

    @property
    def expected(self) -> int:
        """How many grains have memory behind them, if all have but those that are known to have none."""
        return self._top - self.cold.total

    def lower_top(self) -> None:
        """Forget a part without memory at the end, as if it had never been used; while the owner is idle."""
        part = self.cold.take_ending(self._top) if self._slot.top == self._top else None
        if part is not None:
            self._top = self._slot.top = part[0]
