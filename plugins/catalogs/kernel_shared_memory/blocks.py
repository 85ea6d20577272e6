"""Which blocks are dropped, and when they may be written anew: the runner's books of all arenas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_shared_memory import control
from kernel_shared_memory.account import Account
from kernel_shared_memory.arena import GRAIN, part_of
from kernel_shared_memory.leasetable import leases_in
from kernel_shared_memory.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from kernel_shared_memory.control import Range, Slot
    from kernel_shared_memory.files import Files
    from kernel_shared_memory.shape import Block

__all__ = ["Blocks"]


class Blocks:
    """A dropped block waits until no process has it mapped; then the owner of its arena gets it back.

    `slots` has one for each arena; the process in slot n owns arena n, and arena n + `owners`, where it spills.
    `tight` is how many bytes of memory may be behind arenas before that of free parts goes back to the system, for
    another process to take: the owner may have no use for it soon.
    """

    def __init__(self, slots: Sequence[Slot], owners: int, files: Files, tight: int | None) -> None:
        self._slots = slots
        self._owners = owners
        self._files = files
        self._tight = tight
        self._accounts = [Account(slot) for slot in slots]
        self._waiting = Waiting(slots[:owners])
        #: The arenas with free parts that their owners do not have.
        self._stocked: set[int] = set()
        #: Whether owners may write. If not, how many bytes of memory may stay behind free parts.
        self._runs = False
        self._idle = 0

    @property
    def is_behind(self) -> bool:
        """Whether there is anything for `flush` to look after."""
        return bool(self._waiting or (self._runs and self._stocked))

    def adopt(self, blocks: Iterable[Block]) -> None:
        """Note blocks that somebody may load."""
        for arena, offset, size, serial in blocks:
            self._accounts[arena].adopt(part_of(offset, size), serial)

    def drop(self, blocks: Iterable[Block]) -> None:
        """Take blocks that nobody will load again; `flush` hands them on."""
        for arena, offset, size, serial in blocks:
            part = part_of(offset, size)
            if self._accounts[arena].drop(part, serial):
                self._waiting.add(arena, part)

    def discard(self, blocks: Iterable[Block]) -> None:
        """Drop blocks that were never adopted, but for those whose arena was swept since they were written."""
        self.drop([block for block in blocks if not self._accounts[block[0]].is_swept(block[3])])

    def flush(self) -> None:
        """Hand on each dropped block that no process has mapped any more."""
        for arena, part in self._waiting.ready():
            self._accounts[arena].warm.give(part)
            self._stocked.add(arena)
        if not self._stocked:
            return
        self._relieve()
        if self._runs:
            for arena in tuple(self._stocked):
                self._accounts[arena].hand_out()
                if self._accounts[arena].is_empty:
                    self._stocked.remove(arena)

    def sweep(self, worker: int) -> None:
        """End a dead worker's leases and take back all that it had: its free parts, and blocks that nobody adopted.

        Nothing happens when another worker has its slot already: that one swept the leases itself, and what else the
        dead one had comes back at the end of the run.
        """
        slot = self._slots[worker]
        with control.locked(self._files.control.fd, worker):
            if not slot.is_gone:
                return
            slot.clear_leases()
            self._take_back([worker, worker + self._owners])

    def settle(self, idle: int) -> None:
        """End a run, when nobody writes any more: of what is free, leave up to `idle` bytes of memory where they are.

        All other memory but that of adopted blocks and of what is mapped goes back to the system, also that of what is
        dropped later. Owners have nothing until `resume`.
        """
        if self._runs or self._waiting:
            for slot in self._slots[: self._owners]:
                if slot.is_gone:
                    slot.clear_leases()
        self._runs = False
        self._idle = idle
        self._take_back([arena for arena, account in enumerate(self._accounts) if account.has_lent])

    def resume(self) -> None:
        """Begin a run: owners get what is free, and what is dropped is to be written anew."""
        if not self._runs:
            self._runs = True
            for arena in self._stocked:
                self._accounts[arena].lower_top()

    def _take_back(self, arenas: Sequence[int]) -> None:
        mapped: dict[int, set[Range]] = {arena: set() for arena in arenas}
        for slot in self._slots[: self._owners] if arenas else ():
            for arena, part in leases_in(slot.table.words()):
                if arena in mapped:
                    mapped[arena].add(part)
        for arena, parts in mapped.items():
            self._take_back_one(arena, parts)

    def _take_back_one(self, arena: int, mapped: Iterable[Range]) -> None:
        account = self._accounts[arena]
        lost, rest = account.take_back(mapped)
        for part in lost:
            self._waiting.add(arena, part)
        used = self._files.used(arena)
        self._slots[arena].count_anew(used)
        # Mostly no memory is missing; and to look for holes takes longer the more blocks lie between them.
        is_whole = used == account.expected * GRAIN
        extents = [(*part, True) for part in rest] if is_whole else self._files.extents(arena, rest)
        for start, count, warm in extents:
            (account.warm if warm else account.cold).give((start, count))
        if not account.is_empty:
            self._stocked.add(arena)

    def _relieve(self) -> None:
        """Give memory behind free parts back to the system where there is too much of it."""
        excess = self._excess()
        for arena in self._stocked:
            on_disk = arena >= self._owners
            warm = self._accounts[arena].warm
            # Within a run a whole part at a time: one larger than what is too much is of use to others, too.
            while warm and (not self._runs if on_disk else excess > 0):
                part = warm.take_largest(None if self._runs or on_disk else excess)
                self._files.punch(arena, part)
                self._slots[arena].give_back(part[1] * GRAIN)
                self._accounts[arena].cold.give(part)
                if not on_disk:
                    excess -= part[1]

    def _excess(self) -> int:
        """Return how many grains of memory there are too many of behind arenas; those on disk do not count."""
        if not self._runs:
            return sum(account.warm.total for account in self._accounts[: self._owners]) - self._idle // GRAIN
        if self._tight is None:
            return 0
        return -(-(sum(slot.used for slot in self._slots[: self._owners]) - self._tight) // GRAIN)
