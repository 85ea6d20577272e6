"""What a process hands down to those that it starts, and what cannot be given to them later."""

from __future__ import annotations

import os
import resource
import signal
from typing import Any

__all__ = ["handed_down"]

_LIMITS = sorted(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))
#: Variables that count when a program starts, or when its C library first needs them.
_AT_START = ("PYTHON", "LD_", "DYLD_", "MALLOC_", "GLIBC_", "LC_", "LANG", "TZ")
#: What Linux tells of a process. To ask for the umask in another way would change it for a moment; elsewhere it counts
#: as the one that it was.
_FILES = ("/proc/self/status", "/proc/self/oom_score_adj", "/proc/self/cgroup")
_LINES = ("Umask:", "Uid:", "Gid:", "Groups:", "SigIgn:")


def handed_down() -> tuple[Any, ...]:
    """Return what a process that is started now has of this one for good, to be compared with what it is later."""
    return (
        [resource.getrlimit(limit) for limit in _LIMITS],
        os.getpriority(os.PRIO_PROCESS, 0),
        [ask(0) for name in ("sched_getaffinity", "sched_getscheduler") if (ask := getattr(os, name, None))],
        (os.getuid(), os.geteuid(), os.getgid(), os.getegid(), os.getgroups(), os.getsid(0)),
        [number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN],
        [_place(what) for what in ("/", 1, 2)],
        sorted((name, value) for name, value in os.environ.items() if name.startswith(_AT_START)),
        [line for file in _FILES for line in _lines(file)],
    )


def _place(what: str | int) -> tuple[int, int] | None:
    """Say where a folder or an open file is; None where there is none."""
    try:
        found = os.stat(what)  # noqa: PTH116 - of descriptors as well
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _lines(file: str) -> list[str]:
    try:
        with open(file, encoding="utf-8", errors="replace") as opened:  # noqa: PTH123 - quicker
            lines = opened.readlines()
    except OSError:  # no /proc here
        return []
    return [line for line in lines if line.startswith(_LINES)] if file.endswith("status") else lines
