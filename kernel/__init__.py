"""kernel: a plugin-based microkernel that runs data pipelines in parallel.

The names below are handed on lazily, so that `import kernel` costs nothing and each name only what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel.datasets import Dataset, Datasets, MemoryDataset, Version
    from kernel.node import Node, Policy, node
    from kernel.pipeline import Pipeline, pipeline
    from kernel.result import Result
    from kernel.runner import ParallelRunner, Runner, run
    from kernel.specs.markers import hookimpl
    from kernel.worker import note

__version__ = "0.1.0"

__all__ = [
    "Dataset",
    "Datasets",
    "MemoryDataset",
    "Node",
    "ParallelRunner",
    "Pipeline",
    "Policy",
    "Result",
    "Runner",
    "Version",
    "hookimpl",
    "node",
    "note",
    "pipeline",
    "run",
]

_HOMES = {
    "Dataset": "kernel.datasets",
    "Datasets": "kernel.datasets",
    "MemoryDataset": "kernel.datasets",
    "Node": "kernel.node",
    "ParallelRunner": "kernel.runner",
    "Pipeline": "kernel.pipeline",
    "Policy": "kernel.node",
    "Result": "kernel.result",
    "Runner": "kernel.runner",
    "Version": "kernel.datasets",
    "hookimpl": "kernel.specs.markers",
    "node": "kernel.node",
    "note": "kernel.worker",
    "pipeline": "kernel.pipeline",
    "run": "kernel.runner",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'kernel' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


from kernel.node import node  # TEMPORARY-EAGER

try:
    from kernel.pipeline import pipeline  # TEMPORARY-EAGER
except ImportError:
    pass
