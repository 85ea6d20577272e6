"""The leases of this process: which parts of which arenas it has mapped."""

from __future__ import annotations

import threading
from functools import partial
from typing import TYPE_CHECKING

from kernel_shared_memory.control import LEASES

if TYPE_CHECKING:
    from collections.abc import Callable

    from kernel_shared_memory.control import Range, Slot

__all__ = ["Leases"]


class Leases:
    """Hands out entries of the slot's lease table; safe to use from any thread.

    Leases end in finalizers, which may run at any moment, even inside `take` of the same thread: so `_end`
    takes no lock.
    """

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._pid = slot.pid
        self._lock = threading.Lock()
        self._free: list[int] = []
        self._used = 0

    def take(self, arena: int, part: Range) -> Callable[[], None] | None:
        """Lease a part of an arena; return what ends the lease, or None when the table is full."""
        with self._lock:
            if self._free:
                index = self._free.pop()
            elif self._used < LEASES:
                index = self._used
                self._used += 1
            else:
                return None
            self._slot.write_lease(index, arena, part)
        return partial(self._end, index)

    def _end(self, index: int) -> None:
        # A mapping may outlive this process's time in the slot; then the entry is its successor's.
        if self._slot.pid == self._pid:
            self._slot.clear_lease(index)
            self._free.append(index)
