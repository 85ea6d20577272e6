"""Ties the lives of processes together, so that nothing goes on running when the runner is gone."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
import warnings
from typing import NoReturn

__all__ = ["adopt_orphans", "die_with_parent", "fork", "leave", "open_process", "wait_readable"]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent: int) -> None:
    """Have the system kill this process when its parent, process `parent`, ends (Linux; elsewhere EOF does).

    The signal comes when the parent's *thread* that made this process ends, so parents make workers from a thread that
    lives as long as they do.
    """
    if sys.platform != "linux":
        return
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it ended before the call: the signal will never come
        os.kill(os.getpid(), signal.SIGKILL)


def adopt_orphans() -> None:
    """Have descendants of this process that lose their parent become its children, and not those of `init` (Linux).

    Forked children do not inherit this.
    """
    if sys.platform == "linux":
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def fork() -> int:
    """Fork without the warning that Python gives beside threads of libraries: our callers have looked for them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def leave(code: int) -> NoReturn:
    """End without running exit handlers: a forked worker has inherited the runner's. No thread is waited for."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            continue  # a node closed it or took it away, or its reader is gone
    os._exit(code)


def open_process(pid: int) -> int | None:
    """Return a descriptor that becomes readable when the process ends; None where the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, or an old or restricted one
        return None


def wait_readable(fd: int, timeout_s: float) -> bool:
    """Wait until a descriptor is readable, of whatever number: `select` takes none above 1,023."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(max(0.0, timeout_s) * 1000))
