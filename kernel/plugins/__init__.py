"""Which plugins are installed: found by entry point, loaded (those of others by stevedore), blocked and explained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kernel.plugins.building import build
from kernel.plugins.installed import scan
from kernel.plugins.listeners import load_listeners
from kernel.plugins.load import load_catalog, load_dataset_type, load_executor
from kernel.plugins.values import register_values

if TYPE_CHECKING:
    from kernel.plugins.listing import PluginInfo, describe

__all__ = [
    "PluginInfo",
    "build",
    "describe",
    "load_catalog",
    "load_dataset_type",
    "load_executor",
    "load_listeners",
    "register_values",
    "scan",
]


def __getattr__(name: str) -> Any:
    """Hand on what only a listing of plugins needs: a run does without."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kernel.plugins import listing  # noqa: PLC0415 - this is the point of it

    return getattr(listing, name)
