"""What this process may have forked while it had something mapped: told by a mark, which is renewed after each fork."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING

from kernel.processes import Home
from kernel_shared_memory import marks

if TYPE_CHECKING:
    from kernel_shared_memory.leases import Leases
    from kernel_shared_memory.marks import Mark

__all__ = ["Forks", "here"]


class Forks:
    """The mark of this process, and all leases that name it; `lock` is for taking leases.

    Leases end in finalizers, which may run at any moment, so what they call takes no lock: it tries, and whoever has
    the lock looks afterwards.
    """

    def __init__(self) -> None:
        self.home = Home()
        self.lock = threading.Lock()
        self.mark: Mark | None = None
        #: Whether there may be a child that has the mark, so that it is time for another.
        self.is_due = False
        self._members: weakref.WeakSet[Leases] = weakref.WeakSet()

    def join(self, leases: Leases) -> None:
        """Take leases, which have the mark and get those that follow; with the lock."""
        self._members.add(leases)

    def refresh(self) -> None:
        """See to it that there is a mark, if there can be one, which no child has; with the lock."""
        if self.mark is None:
            if marks.can_count():
                self._replace(marks.make())
        elif self.is_due:
            self._renew()

    def has_children(self) -> bool:
        """Whether anybody lives that was forked off since the mark was made, by whatever call."""
        return self.mark is not None and marks.holders(self.mark.number) > 1

    def renew_soon(self) -> None:
        """Renew the mark now, or have whoever has the lock do it."""
        self.is_due = True
        if self.lock.acquire(blocking=False):
            try:
                self.refresh()
            finally:
                self.lock.release()

    def note_fork(self) -> None:
        """Note that a child is forked off: it has what is mapped. Without marks that holds for good."""
        if self.mark is not None:
            self.is_due = True
            return
        with self.lock:
            for each in self._members:
                each.pin()

    def _renew(self) -> None:
        self.is_due = False
        full = [each for each in self._members if not each.prune()]
        if not full:
            self._replace(marks.make())

    def _replace(self, mark: Mark | None) -> None:
        """Go on with another mark. Without one the old does it, for then more is kept than need be."""
        if mark is None:
            return
        before, self.mark = self.mark, mark
        for each in self._members:
            each.have(mark)
        if before is not None:
            before.drop()


_here = Forks()


def here() -> Forks:
    """Return that of this process."""
    global _here  # noqa: PLW0603 - there is one for each process
    if not _here.home.is_here:
        _here = Forks()
    return _here


def _note_fork() -> None:
    if _here.home.is_here:
        _here.note_fork()


# Before and after: other threads may take leases in between.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_note_fork, after_in_parent=_note_fork)
