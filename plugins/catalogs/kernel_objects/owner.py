"""Which process a run belongs to, so that nobody goes on with a run that is still going on."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

from kernel.processes import is_gone, started

__all__ = ["is_alive", "this_process"]


def this_process() -> dict[str, Any]:
    """Describe this process so that others on this machine can tell whether it is still there."""
    return {"host": _host(), "pid": os.getpid(), "started": str(started(os.getpid()) or "")}


def is_alive(owner: dict[str, Any]) -> bool | None:
    """Say whether the process is still there, in doubt that it is; None when it belongs to another machine."""
    if owner.get("host") != _host():
        return None
    return not is_gone(int(owner["pid"]), int(owner.get("started") or 0))


def _host() -> str:
    """Name the machine and, on Linux, its boot and this process's view of processes: numbers count only within."""
    parts = [socket.gethostname()]
    with suppress(OSError):  # another system
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)
