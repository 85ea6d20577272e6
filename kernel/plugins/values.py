"""Tells the registry of values which plugins are installed; each is loaded when a value of its library is there."""

from __future__ import annotations

from kernel.plugins.installed import choose, scan
from kernel.values.libraries import register

__all__ = ["register_values"]


def register_values() -> None:
    """Register what is installed; raises `PluginError` for a library that two distributions claim."""
    register({entry.name: choose("values", entry.name).value for entry in scan()["values"]})
