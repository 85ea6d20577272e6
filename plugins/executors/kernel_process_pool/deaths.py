"""How a process ended, in words, and making sure that what it started ends with it."""

from __future__ import annotations

import os
import signal

from attrs import frozen

__all__ = ["Death", "in_words", "reap"]


@frozen
class Death:
    """The end of a worker process: its number and pid, and `os.waitstatus_to_exitcode`'s code (None: not known)."""

    number: int
    pid: int
    code: int | None


def in_words(code: int | None) -> str:
    """Say how a process ended: a signal by name, with the usual cause of the one that has one, or an exit code."""
    if code is None:
        return "an unknown cause"
    if code >= 0:
        return f"exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:  # a real-time signal has a number but no name
        name = "a signal"
    hint = ", out of memory?" if -code == signal.SIGKILL else ""
    return f"{name} (signal {-code}{hint})"


def reap(pid: int, *, block: bool = False) -> int | None:
    """Collect a child that has ended, after killing what is left of its process group; return its exit code.

    None: it has not ended. While the child is not collected its group cannot become anybody else's, so the kill can
    only hit what the worker itself left behind.
    """
    options = os.WEXITED | os.WNOWAIT | (0 if block else os.WNOHANG)
    if os.waitid(os.P_PID, pid, options) is None:
        return None
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass  # nothing is left, or (macOS) only the ended process itself
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
