"""kernel: a plugin-based microkernel that runs data pipelines in parallel.

The names below are handed on lazily, so that `import kernel` costs nothing and each name only what it needs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel.datasets import Dataset, Datasets, MemoryDataset, Version
    from kernel.nodes import Node, Policy, node
    from kernel.pipelines import Pipeline, pipeline
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
    "Node": "kernel.nodes",
    "ParallelRunner": "kernel.runner",
    "Pipeline": "kernel.pipelines",
    "Policy": "kernel.nodes",
    "Result": "kernel.result",
    "Runner": "kernel.runner",
    "Version": "kernel.datasets",
    "hookimpl": "kernel.specs.markers",
    "node": "kernel.nodes",
    "note": "kernel.worker",
    "pipeline": "kernel.pipelines",
    "run": "kernel.runner",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'kernel' has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only what is asked for is paid for

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
