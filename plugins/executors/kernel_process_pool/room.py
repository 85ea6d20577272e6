"""How many workers a run can have where the system makes no more processes, or has no descriptors for them."""

from __future__ import annotations

import logging
from time import monotonic

from kernel.errors import KernelError

__all__ = ["Room"]

#: So often it is tried to make a first worker, with so many seconds between: others may end meanwhile.
_TRIES, _PAUSE_S = 8, 0.25

_log = logging.getLogger("kernel")


class Room:
    """The most workers that a run may have: at first all that it wants, and what there are once one was refused."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._refused = 0
        self._told = False
        self._not_before = 0.0

    def is_left(self, living: int) -> bool:
        """Say whether one more may be made beside those that live."""
        return living < self.most and (not self._refused or monotonic() >= self._not_before)

    def shrink(self, living: int, why: str) -> None:
        """Take note that one could not be made beside so many; raises KernelError when there is none, for good."""
        self._refused = self._refused + 1 if not living else 1
        if self._refused >= _TRIES:
            raise KernelError(
                f"no worker could be made: {why}. Look at the limits on processes and open files (ulimit "
                f"-u, ulimit -n, the pids limit of a container)"
            )
        self._not_before = monotonic() + _PAUSE_S
        if living and not self._told:
            self._told = True
            _log.warning("a worker could not be made: %s. The run goes on with those that there are", why)
        self.most = max(1, living)
