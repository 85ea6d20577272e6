"""The plugins that are used when none is named: the only place where the kernel knows a plugin's name."""

from __future__ import annotations

__all__ = ["EXECUTOR", "PARALLEL_EXECUTOR"]

#: What runs a pipeline when nothing else is said. Its catalog is the one that it names itself.
EXECUTOR = "sequential"
#: What `ParallelRunner` stands for.
PARALLEL_EXECUTOR = "process_pool"
