"""Which blocks are dropped, and when they may be written anew: the runner's books of all arenas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_shared_memory import control
from kernel_shared_memory.arena import GRAIN, part_of
from kernel_shared_memory.freelist import FreeList, gaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kernel_shared_memory.control import Range, Slot
    from kernel_shared_memory.files import Files
    from kernel_shared_memory.shape import Block

__all__ = ["Blocks"]


class Blocks:
    """A dropped block waits until no process has it mapped; then the owner of its arena gets it back.

    `slots` has one for each arena; the process in slot n owns arena n, and arena n + `owners`, where it spills.
    `tight` is how many bytes of memory may be behind arenas before that of dropped blocks goes back to the system, for
    another process to take: the owner may have no use for it soon.
    """

    def __init__(self, slots: Sequence[Slot], owners: int, files: Files, tight: int | None) -> None:
        self._slots = slots
        self._tight = tight
        self._owners = owners
        self._files = files
        self._waiting: list[tuple[int, Range]] = []
        #: Parts for which there was no room in a mailbox, and whether there is memory behind them.
        self._unposted: list[tuple[int, Range, bool]] = []
        # Serial numbers grow, so a block that is dropped twice is known by that of the last one dropped
        # there.
        self._dropped: dict[tuple[int, int], int] = {}
        self._swept = [0] * len(slots)
        #: Whether runs are over and none will follow, so that what is dropped goes back to the system.
        self._settled = False

    @property
    def is_behind(self) -> bool:
        """Whether there is anything for `flush` to look after."""
        return bool(self._waiting or self._unposted)

    def drop(self, blocks: Iterable[Block]) -> None:
        """Take blocks that nobody will load again; `flush` hands them on."""
        for arena, offset, size, serial in blocks:
            part = part_of(offset, size)
            if self._dropped.get((arena, part[0]), 0) < serial:
                self._dropped[arena, part[0]] = serial
                self._waiting.append((arena, part))

    def discard(self, blocks: Iterable[Block]) -> None:
        """Drop blocks that were never adopted, but for those whose arena was swept since they were written."""
        self.drop([block for block in blocks if block[3] > self._swept[block[0]]])

    def flush(self) -> None:
        """Hand on each waiting block that no process has mapped any more."""
        unposted, self._unposted = self._unposted, []
        for arena, part, warm in unposted:
            self._hand_on(arena, part, warm)
        if not self._waiting:
            return
        leased = {(arena, part[0]) for slot in self._slots for arena, part in slot.leases()}
        waiting, self._waiting = self._waiting, []
        # Neighbours are joined, so that many blocks dropped at once do not fill a mailbox.
        ready: dict[int, FreeList] = {}
        for arena, part in waiting:
            if (arena, part[0]) in leased:
                self._waiting.append((arena, part))
            else:
                ready.setdefault(arena, FreeList()).give(part)
        for arena, parts in ready.items():
            for part in parts:
                self._hand_on(arena, part, warm=True)

    def sweep(self, worker: int, live: Iterable[Block]) -> None:
        """End a dead worker's leases and take back all of its arenas but the blocks in `live`.

        Nothing happens when another worker has its slot already: that one swept the leases itself.
        """
        slot = self._slots[worker]
        with control.locked(self._files.control.fd, worker):
            if not slot.is_gone:
                return
            slot.clear_leases()
            if slot.is_closed:  # what it had free are holes by now, and no block is unknown
                return
            kept = list(live)
            for arena in (worker, worker + self._owners):
                self._sweep_arena(arena, [part_of(block[1], block[2]) for block in kept if block[0] == arena])

    def settle(self, live: Iterable[Block], idle: int | None) -> None:
        """End a run, when nobody writes any more: of what nobody needs, leave up to `idle` bytes where they are.

        All other memory but that of `live` and of what is mapped goes back to the system. Owners get the free parts
        dealt out anew. `idle` is None when no run will follow: then all goes back, also what is dropped later.
        """
        self._settled = idle is None
        room = idle or 0
        for slot in self._slots:
            if slot.is_gone:
                slot.clear_leases()
        wanted = {(block[0], part_of(block[1], block[2])) for block in live}
        leased = {lease for slot in self._slots for lease in slot.leases()}
        self._waiting = list(leased - wanted)
        self._unposted = []
        for arena, slot in enumerate(self._slots):
            if slot.top:
                taken = [part for where, part in wanted | leased if where == arena]
                room -= self._deal(arena, taken, 0 if arena >= self._owners else room)

    def resume(self) -> None:
        """Begin a run: what is dropped is to be written anew."""
        self._settled = False

    def _sweep_arena(self, arena: int, live: list[Range]) -> None:
        slot = self._slots[arena]
        slot.take_mail()
        self._unposted = [entry for entry in self._unposted if entry[0] != arena]
        taken = live + [part for where, part in self._waiting if where == arena]
        for part in gaps(taken, slot.top):
            for start, count, warm in self._files.extents(arena, part):
                if warm:
                    self._waiting.append((arena, (start, count)))
                else:
                    self._unposted.append((arena, (start, count), False))
        slot.count_anew(self._files.used(arena))
        self._swept[arena] = slot.serial

    def _deal(self, arena: int, taken: list[Range], room: int) -> int:
        """Deal out the free parts of an arena; return how many bytes of memory are left behind them."""
        slot = self._slots[arena]
        slot.deal_anew()
        self._swept[arena] = slot.serial
        parts = [extent for part in gaps(taken, slot.top) for extent in self._files.extents(arena, part)]
        left = 0
        top = max((start + count for start, count in taken), default=0)
        dealt: list[tuple[int, Range, bool]] = []
        for start, count, warm in parts:
            kept = min(count, (room - left) // GRAIN) if warm else 0
            if kept:
                dealt.append((arena, (start, kept), True))
                left += kept * GRAIN
                top = max(top, start + kept)
            if kept < count:
                dealt.append((arena, (start + kept, count - kept), False))
                if warm:
                    self._files.punch(arena, (start + kept, count - kept))
        slot.top = top
        slot.count_anew(self._files.used(arena))
        for where, part, warm in dealt:
            if part[0] < top:  # what is free beyond needs no mail
                self._hand_on(where, part, warm)
        return left

    def _is_tight(self, arena: int) -> bool:
        if self._tight is None or arena >= self._owners:
            return False
        return sum(slot.used for slot in self._slots[: self._owners]) > self._tight

    def _hand_on(self, arena: int, part: Range, warm: bool) -> None:
        if warm and (self._settled or self._is_tight(arena)):
            self._files.punch(arena, part)
            self._slots[arena].give_back(part[1] * GRAIN)
            warm = False
        if not self._settled and not self._slots[arena].post(part, warm):
            self._unposted.append((arena, part, warm))
