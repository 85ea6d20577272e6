"""How a process ended, in words, and making sure that what it started ends with it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from attrs import frozen

from kernel.errors import KernelError
from kernel_process_pool.orphans import end_group

__all__ = ["CUT", "Death", "FalseStarts", "in_words", "is_running", "reap"]

#: How a worker ended whose stream was closed by what it ran.
CUT = "the loss of its connection (did the node close descriptors that were not its own?)"

#: So many workers in a row that end before they are ready mean that none ever will be.
_MOST_FALSE_STARTS = 10
#: The flag of Linux for a process that is on its way out.
_PF_EXITING = 0x4


@frozen
class Death:
    """The end of a worker process: its number and pid, and `os.waitstatus_to_exitcode`'s code.

    None: it was killed because the process that makes the workers ended.
    """

    number: int
    pid: int
    code: int | None
    #: It was never made, and why: the system had no process or descriptor to spare.
    refused: str = ""


def in_words(code: int | None, *, guess: bool = True) -> str:
    """Say how a process ended: a signal by name, or an exit code.

    `guess`: with the usual cause of the signal that has one, when it was not sent by us.
    """
    if code is None:
        return "the end of the process that makes workers (was it killed?)"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal has a number but no name
        name = "a signal"
    hint = ", out of memory?" if guess and -code == signal.SIGKILL else ""
    return f"{name} (signal {-code}{hint})"


def is_running(pid: int) -> bool:
    """Say whether a process certainly goes on, and has not begun to end; where the system does not tell, it may not."""
    try:
        state, *facts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return state not in {"Z", "X"} and not int(facts[5]) & _PF_EXITING


def reap(pid: int) -> int | None:
    """Collect a child that has ended, after killing what is left of its process group; return its exit code.

    None: it has not ended. While the child is not collected its group cannot become anybody else's, so the kill can
    only hit what the worker itself left behind.
    """
    if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        return None
    end_group(pid)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class FalseStarts:
    """Counts workers in a row that end before they are ready for anything."""

    def __init__(self) -> None:
        self._count = 0

    def clear(self) -> None:
        """Take note that a worker is ready."""
        self._count = 0

    def add(self, how: str) -> None:
        """Take note of one that has ended so; raises KernelError when that seems to go on for ever."""
        if how == in_words(None):
            return  # the server's ends are counted by whoever starts servers
        self._count += 1
        if self._count >= _MOST_FALSE_STARTS:
            raise KernelError(f"{self._count} workers in a row ended before they ran anything, by {how}")
