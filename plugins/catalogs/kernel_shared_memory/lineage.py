"""The memory that the catalogs of a warm runner hand on, from each run to the next."""

from __future__ import annotations

import weakref
from typing import TYPE_CHECKING

from kernel_shared_memory.memory import Memory

if TYPE_CHECKING:
    from kernel_shared_memory.memory import Options

__all__ = ["Lineage"]


class Lineage:
    """Has the memory of the last run, as long as a catalog waits for the next one.

    It does not say who used the memory before: what those still need, the memory itself knows.
    """

    def __init__(self, options: Options) -> None:
        self._options = options
        self._waiting = 0
        self._memory: Memory | None = None

    def expect(self) -> None:
        """Note that one more catalog waits for its run."""
        self._waiting += 1

    def give_up(self) -> None:
        """Note that one waits no more: its run has begun, or will not come."""
        self._waiting -= 1
        if self._memory is not None:
            self._memory.tidy()

    def memory_for(self, workers: int) -> Memory:
        """Return memory for a run with that many workers; raises `ConfigError` when it cannot be set up."""
        memory = self._memory
        if memory is None or not memory.is_open or memory.workers < workers:
            own = weakref.ref(self)  # memory may outlive its lineage
            memory = self._memory = Memory(self._options, workers, lambda: _is_waited_for(own()))
        return memory

    @property
    def is_waited_for(self) -> bool:
        """Whether a run may follow."""
        return self._waiting > 0


def _is_waited_for(lineage: Lineage | None) -> bool:
    return lineage is not None and lineage.is_waited_for
