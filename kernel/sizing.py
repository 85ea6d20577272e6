"""How many workers a run gets: what its graph can use, what was asked for, what this machine may give."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

from kernel.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from kernel.pipelines import Pipeline

__all__ = ["check_workers", "pool_size", "usable_cpus", "useful_workers"]

#: Windows cannot wait for more handles than this at once (WaitForMultipleObjects takes 64, three are in use).
MOST_ON_WINDOWS = 61


def check_workers(workers: object) -> int | None:
    """Return the number of workers asked for, or None; ConfigError (a ValueError) for all but positive integers."""
    if workers is None:
        return None
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise ConfigError(f"the number of workers should be a positive integer, got {workers!r}")
    return workers


def useful_workers(pipeline: Pipeline) -> int:
    """Return the most workers that the graph could ever keep busy: nodes - layers + 1.

    Layers is the length of the longest chain. Nodes that can run at the same time share at most one node with that
    chain, so there are never more than that; it is an upper bound, not the exact width.
    """
    plan = pipeline.plan
    return len(plan.nodes) - plan.layers + 1 if plan.nodes else 0


def pool_size(useful: int, asked: int | None) -> int:
    """Cap what is useful by what was asked for or, where nothing was, by the CPUs this process may use; at least 1."""
    size = min(useful, asked if asked is not None else usable_cpus())
    if sys.platform == "win32":
        size = min(size, MOST_ON_WINDOWS)
    return max(1, size)


def usable_cpus() -> int:
    """Count the CPUs that this process may use: its affinity, capped by its control group's quota, at least 1."""
    cpus = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _cgroup_quota()
    if quota is not None:
        cpus = min(cpus, int(quota))
    return max(1, cpus)


def _cgroup_quota(root: str = "/sys/fs/cgroup", own: str = "/proc/self/cgroup") -> float | None:
    """Return the least CPU quota on the way from this process's control group to the root, in CPUs; None: no quota."""
    from pathlib import Path  # noqa: PLC0415 - seldom needed, and it would slow every start

    try:
        lines = Path(own).read_text().splitlines()
    except OSError:  # not Linux, or /proc is not mounted: there is no quota to know of
        return None
    quotas: list[float] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            quotas += _quotas(Path(root), path, _quota_v2)
        elif "cpu" in controllers.split(","):
            quotas += _quotas(Path(root, "cpu"), path, _quota_v1)
    return min(quotas, default=None)


def _quotas(root: Path, path: str, read: Callable[[Path], float | None]) -> list[float]:
    """Read every group from this one up: inside a container the path may name a group that is not visible."""
    own = root / path.lstrip("/")
    found = [read(folder) for folder in (own, *own.parents) if folder == root or root in folder.parents]
    return [quota for quota in found if quota is not None]


def _quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def _quota_v1(folder: Path) -> float | None:
    try:
        quota = int((folder / "cpu.cfs_quota_us").read_text())
        period = int((folder / "cpu.cfs_period_us").read_text())
    except (OSError, ValueError):
        return None
    return None if quota < 0 else quota / period
