"""Which process a run belongs to, so that nobody goes on with a run that is still going on."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["is_alive", "this_process"]


def this_process() -> dict[str, Any]:
    """Describe this process so that others on this machine can tell whether it is still there."""
    return {"host": _host(), "pid": os.getpid(), "started": _started(os.getpid())}


def is_alive(owner: dict[str, Any]) -> bool | None:
    """Say whether the process is still there; None when it belongs to another machine."""
    if owner.get("host") != _host():
        return None
    try:
        os.kill(int(owner["pid"]), 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass  # it is another user's, and alive
    return bool(_started(int(owner["pid"])) == owner.get("started"))


def _host() -> str:
    """Name the machine and, on Linux, its boot and this process's view of processes: numbers count only within."""
    parts = [socket.gethostname()]
    with suppress(OSError):  # another system
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    return " ".join(parts)


def _started(pid: int) -> str:
    """Return when a process started, in ticks since the boot; empty where the system does not say."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
