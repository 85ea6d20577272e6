"""What a process hands down to those that it starts, and cannot give them later: limits, priority, CPUs, umask."""

from __future__ import annotations

import os
import resource
import sys
from typing import Any

__all__ = ["handed_down"]

_LIMITS = sorted(getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_"))


def handed_down() -> tuple[Any, ...]:
    """Return what a process that is started now has of this one for good, to be compared with what it is later."""
    affinity = frozenset(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
    limits = [resource.getrlimit(limit) for limit in _LIMITS]
    return limits, os.getpriority(os.PRIO_PROCESS, 0), affinity, _umask()


def _umask() -> str:
    """Return the line in which the system tells it: to ask for it by `os.umask` would change it for a moment."""
    if sys.platform == "linux":
        try:
            with open("/proc/self/status", encoding="ascii", errors="replace") as file:  # noqa: PTH123 - quicker
                return next((line for line in file if line.startswith("Umask")), "")
        except OSError:  # no /proc here
            return ""
    return ""
