"""The leases of this process: which parts of which arenas it has mapped."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from kernel.processes import Home
from kernel_shared_memory import forks
from kernel_shared_memory.leasetable import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_shared_memory.control import Range, Slot
    from kernel_shared_memory.marks import Mark

__all__ = ["Leases"]


class Leases:
    """Hands out entries of the slot's lease table; safe to use from any thread.

    Children that are forked off while a lease lasts have a copy of its mapping, so it counts until they have ended,
    too. Leases end in finalizers, which may run at any moment, even inside `take` of the same thread: so `_end` takes
    no lock.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._table = slot.table
        self._pid = slot.pid
        self._home = Home()
        self._forks = forks.here()
        #: The bit that stands for the mark of this process; 0 while it has none.
        self._bit = 0
        # Children of the process that had the slot before may have leases still.
        self._free = self._table.free()
        self._used = self._table.high
        with self._forks.lock:
            self._forks.join(self)
            if self._forks.mark is not None:
                self.have(self._forks.mark)

    def take(self, arena: int, part: Range) -> Callable[[], None] | None:
        """Lease a part of an arena; return what ends the lease, or None when the table is full."""
        with self._forks.lock:
            self._forks.refresh()
            index = self._next()
            if index is not None:
                self._table.write(index, arena, part, self._bit)
        if self._forks.is_due:  # the end of another lease found that out and could not wait for the lock
            self._forks.renew_soon()
        return None if index is None else partial(self._end, index)

    def have(self, mark: Mark) -> None:
        """Mark what is leased and will be: children have that mark from now on."""
        bit = self._table.add_mark(mark.number)
        if bit is None:  # as many children of those before hold on to something as can be told apart
            bit = UNKNOWN
            self._table.mark(bit)
        self._bit = bit

    def pin(self) -> None:
        """Keep what is leased now as long as the memory lasts: nobody can tell when the children end that have it."""
        self._table.mark(UNKNOWN)

    def prune(self) -> bool:
        """As `tidy`, with the lock of the forks; say whether there is room for one more mark."""
        nobodys = 0 if self._forks.has_children() else self._bit & ~UNKNOWN
        self._free += self._table.prune(but=nobodys)
        return self._table.has_room

    def tidy(self) -> None:
        """Take back what children had that have ended."""
        with self._forks.lock:
            self.prune()

    def _next(self) -> int | None:
        if not self._free and self._used == len(self._table):
            self.prune()
        if self._free:
            return self._free.pop()
        if self._used == len(self._table):
            return None
        self._used += 1
        return self._used - 1

    def _end(self, index: int) -> None:
        # A mapping may outlive this process's time in the slot; then the entry is its successor's.
        if not self._home.is_here or self._slot.pid != self._pid:
            return
        has_children = self._forks.has_children()
        left = self._table.marked(index) & ~(0 if has_children else self._bit)
        if left:
            self._table.leave(index, left)
        else:
            self._table.clear(index)
            self._free.append(index)
        if has_children:
            self._forks.renew_soon()
