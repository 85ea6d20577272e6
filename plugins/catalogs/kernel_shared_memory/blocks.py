"""Which blocks are dropped, and when they may be written anew: the runner's books of all arenas."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from kernel_shared_memory import control, system
from kernel_shared_memory.arena import GRAIN, part_of
from kernel_shared_memory.freelist import FreeList, gaps

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kernel_shared_memory.control import Range, Slot
    from kernel_shared_memory.shape import Block

__all__ = ["Blocks"]


class Blocks:
    """A dropped block waits until no process has it mapped; then the owner of its arena gets it back.

    `fds` are the arenas' descriptors, `slots` their owners' slots, `control_fd` the control segment's.
    """

    def __init__(self, slots: Sequence[Slot], fds: Sequence[int], control_fd: int) -> None:
        self._slots = slots
        self._fds = fds
        self._control_fd = control_fd
        self._waiting: list[tuple[int, Range]] = []
        # Serial numbers grow, so a block that is dropped twice is known by that of the last one dropped
        # there.
        self._dropped: dict[tuple[int, int], int] = {}
        self._swept = [0] * len(slots)
        self._settled = False

    def drop(self, block: Block) -> None:
        """Take a block that nobody will load again; `flush` hands it on."""
        arena, offset, size, serial = block
        part = part_of(offset, size)
        if self._dropped.get((arena, part[0]), 0) < serial:
            self._dropped[arena, part[0]] = serial
            self._waiting.append((arena, part))

    def discard(self, block: Block) -> None:
        """Drop a block that was never adopted, unless its arena was swept since it was written."""
        if block[3] > self._swept[block[0]]:
            self.drop(block)

    def flush(self) -> None:
        """Hand on each waiting block that no process has mapped any more."""
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
            self._waiting += [(arena, part) for part in parts if not self._hand_on(arena, part)]

    def sweep(self, worker: int, live: Iterable[Block]) -> None:
        """End a dead worker's leases and take back all of its arena but the blocks in `live`.

        Nothing happens when another worker has its slot already: that one swept the leases itself.
        """
        slot = self._slots[worker]
        with control.locked(self._control_fd, worker):
            if not slot.pid or not system.is_gone(slot.pid):
                return
            slot.clear_leases()
            if slot.is_closed:  # what it had free are holes by now, and no block is unknown
                return
            slot.take_mail()
            taken = [part for arena, part in self._waiting if arena == worker]
            taken += [part_of(block[1], block[2]) for block in live if block[0] == worker]
            self._waiting += [(worker, part) for part in gaps(taken, slot.top)]
            self._swept[worker] = slot.serial

    def settle(self, live: Iterable[Block]) -> None:
        """Nobody writes any more: give all memory back to the system but that of `live` and of what is mapped."""
        self._settled = True
        for slot in self._slots:
            if slot.pid and system.is_gone(slot.pid):
                slot.clear_leases()
        wanted = {(block[0], part_of(block[1], block[2])) for block in live}
        leased = {lease for slot in self._slots for lease in slot.leases()}
        self._waiting = list(leased - wanted)
        for arena, slot in enumerate(self._slots):
            for part in gaps((part for where, part in wanted | leased if where == arena), slot.top):
                self._punch(arena, part)

    def memory_in_use(self) -> int:
        """Return the bytes of memory behind all arenas."""
        return sum(os.fstat(fd).st_blocks * 512 for fd in self._fds)

    def _hand_on(self, arena: int, part: Range) -> bool:
        if self._settled:
            self._punch(arena, part)
            return True
        return self._slots[arena].post(part)

    def _punch(self, arena: int, part: Range) -> None:
        system.punch(self._fds[arena], part[0] * GRAIN, part[1] * GRAIN)
