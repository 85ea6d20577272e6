"""What tests and their nodes look at while they wait: conditions, processes, and a small file system to fill."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import time
from contextlib import suppress
from pathlib import Path

#: How long anything waits for something else before it fails (seconds).
LIMIT = 30.0


def wait_until(condition, what, limit=LIMIT):
    """Poll until the condition holds; raises TimeoutError when that takes longer than the limit (seconds)."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {limit} s in vain for {what}")
        time.sleep(0.005)


def is_alive(pid):
    """Say whether a process runs: one that has ended, and only waits to be collected, does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def started_by(pid):
    """List the processes that this one has started and not collected."""
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that ended meanwhile
            found += map(int, task.read_text().split())
    return found


def is_of_multiprocessing(pid):
    """Say whether a process is one that `multiprocessing`, or loky, keeps for as long as its user lives."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return b"from multiprocessing." in command or b"from loky.backend.resource_tracker" in command


def descendants(pid):
    """List the processes that this one has started, and those that they have."""
    return [each for child in started_by(pid) for each in (child, *descendants(child))]


def mounted(path, mebibytes):
    """Mount a small file system in memory, which only root may do; say whether that was allowed."""
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", path]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def shared_memory():
    """Find directories of shared memory that no process owns, or this one; others belong to runs beside this one.

    One of theirs that is just being made or removed may be among them: look again.
    """
    found = set()
    for place in {Path("/dev/shm"), Path(tempfile.gettempdir())}:
        for path in place.glob(f"kernel-{os.getuid()}-*"):
            with suppress(FileNotFoundError):
                if not (path / "owner").exists() or _is_held_by_us(path / "owner") or _is_abandoned(path / "owner"):
                    found.add(path)
    return found


def _is_held_by_us(file):
    for open_one in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            if open_one.samefile(file):
                return True
    return False


def _is_abandoned(file):
    descriptor = os.open(file, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True
