"""Finds and ends what workers leave behind: processes in their group, and those that left it and lost their parent.

A worker adopts the orphans among its descendants, and the server process those of a worker that has ended. So whatever
the server has for a child that is no worker, was left behind by a worker that is dead, and no living worker misses it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from time import monotonic

__all__ = ["MARK", "end_adopted", "end_group", "end_marked"]

#: In the environment of the server process, and so in that of all that comes from it: which pool it belongs to.
MARK = "KERNEL_POOL"


def end_group(leader: int) -> None:
    """Kill what is left of a process group."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # nothing is left, or (macOS) only the ended leader itself


def end_adopted(workers: Collection[int]) -> bool:
    """Kill and collect the children of this process that are no workers; say whether any has still to end.

    If so, call again on the next SIGCHLD.
    """
    while True:
        strays = [pid for pid in _children() if pid not in workers]
        ended = [pid for pid in strays if _end(pid)]
        if not ended:  # else their own children have become ours meanwhile
            return bool(strays)


def _end(pid: int) -> bool:
    """Kill a child; say whether it has ended and was collected."""
    with suppress(PermissionError):  # it may have taken on the rights of another user
        os.kill(pid, signal.SIGKILL)
    return os.waitpid(pid, os.WNOHANG)[0] != 0


def end_marked(mark: str, patience_s: float) -> None:
    """Kill every process that has the mark of a pool in its environment, and those they make meanwhile.

    Returns when none is left, or after so many seconds: one that hangs in the system ends when it comes out of there.
    """
    entry = f"{MARK}={mark}".encode()
    until = monotonic() + patience_s
    while found := [pid for pid in _processes() if entry in _environment(pid)]:
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        if monotonic() > until:
            return


def _children() -> Iterable[int]:
    """List the children of this process, which has one thread; nothing where the system does not tell."""
    pid = os.getpid()
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # not Linux, one whose kernel was built without this list, or no descriptor is left
        return [child for child in _processes() if _parent(child) == pid]


def _processes() -> Iterator[int]:
    with suppress(OSError):
        for name in os.listdir("/proc"):  # noqa: PTH208 - a path object for each process would double the time
            if name.isdigit() and int(name) != os.getpid():
                yield int(name)


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[1])
    except OSError:  # it has ended
        return 0


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:  # it has ended, or is not ours to read
        return []
