"""Collects helpers that nodes left in the background, once they have ended: their worker has adopted them.

The system does not tell adopted children from those that a process has made itself, and whoever made one waits for it:
its exit status is not ours to take. So children by birth are told by who made them: forks are noted as they happen, and
all others (`subprocess`, `multiprocessing`) have an object with their number as long as somebody may ask.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from time import monotonic
from typing import Any

from kernel.processes import Home

__all__ = ["Adopted"]

#: Classes whose objects have a child's number, by module, and the name that it has there.
_MAKERS = {
    "subprocess": ("Popen", "pid"),
    "multiprocessing.popen_fork": ("Popen", "pid"),
    "multiprocessing.resource_tracker": ("ResourceTracker", "_pid"),
    "multiprocessing.forkserver": ("ForkServer", "_forkserver_pid"),
}
#: To look for those objects may take this part of the time, and no more.
_SHARE = 0.05


class Adopted:
    """The children of this process that it has not made itself."""

    def __init__(self) -> None:
        self._home = Home()
        self._own: set[int] = set()
        self._before = threading.local()
        self._next = 0.0
        os.register_at_fork(before=self._look, after_in_parent=self._note)

    def collect(self) -> None:
        """Collect those that have ended. Where there is nothing to collect this takes one system call."""
        try:
            if os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return
        except ChildProcessError:  # there are no children at all
            return
        begun = monotonic()
        if begun < self._next:
            return
        children = set(_children())
        self._own &= children
        ended = {pid for pid in children - self._own if _has_ended(pid)}
        if ended:
            known = ended & _asked_for()
            self._own |= known
            for pid in ended - known:
                with suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)
        now = monotonic()
        self._next = now + (now - begun) / _SHARE

    def _look(self) -> None:
        self._before.children = set(_children()) if self._home.is_here else set[int]()

    def _note(self) -> None:
        if self._home.is_here:
            self._own |= set(_children()) - self._before.children


def _asked_for() -> set[int]:
    """Return the numbers of all children that some object of Python's own stands for."""
    kinds: dict[type, str] = {}
    for module, (name, attribute) in _MAKERS.items():
        kind = getattr(sys.modules.get(module), name, None)
        if isinstance(kind, type):
            kinds[kind] = attribute
    makers = tuple(kinds)
    found: set[int] = set()
    for each in gc.get_objects():
        if issubclass(type(each), makers):
            attribute = next(attribute for kind, attribute in kinds.items() if issubclass(type(each), kind))
            found.add(_number(each, attribute))
    return found


def _number(maker: Any, attribute: str) -> int:
    number: object = getattr(maker, attribute, None)
    return number if isinstance(number, int) else 0


def _children() -> Iterator[int]:
    """List the children of all threads of this process; nothing where the system does not tell."""
    with suppress(OSError):
        for thread in os.listdir("/proc/self/task"):  # noqa: PTH208 - names alone
            with suppress(OSError), open(f"/proc/self/task/{thread}/children", encoding="ascii") as file:  # noqa: PTH123 - as above
                yield from map(int, file.read().split())


def _has_ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return False
