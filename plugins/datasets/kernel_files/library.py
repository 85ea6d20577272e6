"""The libraries that read and write formats: imported by who loads or saves, and an optional install."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kernel.errors import DatasetError

__all__ = ["library"]


def library(name: str) -> Any:
    """Import a library. Raises a `DatasetError` that says what to install when that fails."""
    try:
        return import_module(name)
    except ImportError as error:
        raise DatasetError(
            f"needs {name}, which cannot be imported ({error}): pip install 'kernel-pipelines[datasets]'"
        ) from error
