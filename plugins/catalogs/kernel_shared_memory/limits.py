"""How much memory values may take: what the user says, or a share of what machine and control group allow."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kernel.amounts import bytes_of
from kernel.errors import ConfigError

__all__ = ["allowed_memory", "default_limit", "parse_limit"]

_SHARE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*")
_GROUPS, _OWN_GROUP = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def parse_limit(given: object) -> int | None:
    """Return a limit in bytes: of a number, "2GB", "1.5 GiB" or "50%" (of what is allowed); None for None.

    Raises `ConfigError` for anything else.
    """
    if given is None:
        return None
    share = _SHARE.fullmatch(given) if isinstance(given, str) else None
    if share is not None:
        return int(allowed_memory() * float(share[1]) / 100)
    size = bytes_of(given)
    if size is None:
        raise ConfigError(
            f"shared_memory: memory_limit={given!r} is no amount of memory; "
            f'take a number of bytes, or a text such as "2GB", "512MiB" or "50%"'
        )
    return size


def default_limit() -> int:
    """Return half of the memory that is allowed, but at most three quarters of what is free now."""
    limit = allowed_memory() // 2
    free = _free_memory()
    return limit if free is None else min(limit, free * 3 // 4)


def allowed_memory(groups: Path = _GROUPS, own: Path = _OWN_GROUP) -> int:
    """Return the bytes of memory that this process and its children may use: the machine's, or its control group's."""
    limits = [_number(path) for path in _limit_files(groups, own)]
    return min([os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"), *(each for each in limits if each)])


def _limit_files(groups: Path, own: Path) -> list[Path]:
    """List the files with the limits of this process's control group and of those around it."""
    try:
        lines = own.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    files: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            root, name = groups, "memory.max"
        elif "memory" in controllers.split(","):
            root, name = groups / "memory", "memory.limit_in_bytes"
        else:
            continue
        group = root / path.strip("/")
        # In a container the path may be the host's; then the root is the container's own group.
        files += [each / name for each in (group, *group.parents) if each.is_relative_to(root)]
    return files


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there, or "max"
        return None


def _free_memory() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None
