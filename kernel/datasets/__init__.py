"""Datasets: one named thing to load and save, and what the names of a pipeline stand for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel.datasets.dataset import CopyMode, Dataset, Version

if TYPE_CHECKING:
    from kernel.datasets.datasets import Datasets
    from kernel.datasets.memory import MemoryDataset

__all__ = ["CopyMode", "Dataset", "Datasets", "MemoryDataset", "Version"]

_HOMES = {"Datasets": "kernel.datasets.datasets", "MemoryDataset": "kernel.datasets.memory"}


def __getattr__(name: str) -> Any:
    """Load what reads catalogs when it is asked for: a worker, which needs the contract only, starts without it."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - only what is asked for is paid for

    return getattr(import_module(_HOMES[name]), name)
