"""What is installed: one scan of the entry points of all kinds of plugins, and who declared each."""

from __future__ import annotations

import sys
from functools import cache
from importlib.machinery import FileFinder
from typing import TYPE_CHECKING

from kernel.errors import PluginError
from kernel.plugins.entries import Entry, read_entries

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["GROUPS", "OWN_DISTRIBUTION", "choose", "distribution_of", "origin", "same_distribution", "scan"]

#: What the kernel itself is installed as, with the plugins that it comes with.
OWN_DISTRIBUTION = "kernel-pipelines"
#: Kind of plugin -> entry-point group.
GROUPS = {
    "executor": "kernel.executors",
    "catalog": "kernel.catalogs",
    "dataset": "kernel.datasets",
    "values": "kernel.values",
    "listener": "kernel.hooks",
}


@cache
def scan() -> Mapping[str, Sequence[Entry]]:
    """Return kind -> the installed entry points, sorted by name. Scans once; `scan.cache_clear()` forgets."""
    for finder in list(sys.path_importer_cache.values()):  # Python, too, remembers what lay in which folder
        if isinstance(finder, FileFinder):  # `importlib.invalidate_caches` loads `importlib.metadata` from 3.13 on
            finder.invalidate_caches()
    found = sorted(read_entries(frozenset(GROUPS.values())), key=_order)
    return {kind: [entry for entry in found if entry.group == group] for kind, group in GROUPS.items()}


def choose(kind: str, name: str) -> Entry:
    """Return the one entry point of this kind and name.

    Raises `PluginError` when there is none, with the names that there are; and when there are several, with
    their distributions.
    """
    if not _named(kind, name):
        scan.cache_clear()  # it may have been installed since
    found = _named(kind, name)
    if not found:
        from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

        names = sorted({entry.name for entry in scan()[kind]})
        near = get_close_matches(name, names, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        listed = f"Installed: {', '.join(names)}." if names else f"No {kind} is installed."
        raise PluginError(f"no {kind} named {name!r} is installed.{hint} {listed}")
    if len(found) > 1:
        raise PluginError(
            f"{kind} {name!r} is declared by several distributions: {', '.join(map(_claim, found))}. "
            f"Uninstall all but one of them."
        )
    return found[0]


def distribution_of(entry: Entry) -> str:
    """Return the name of the distribution that declares the entry point."""
    return entry.distribution or "(unknown)"


def origin(kind: str, entry: Entry) -> str:
    """Name the plugin, its distribution and its entry point, for messages."""
    return f"{kind} {entry.name!r} of distribution {distribution_of(entry)!r} (entry point {entry.value!r})"


def same_distribution(one: str, other: str) -> bool:
    """Compare names of distributions as installers do: case does not count, nor which of -_. is used."""
    return _normal(one) == _normal(other)


def _named(kind: str, name: str) -> list[Entry]:
    return [entry for entry in scan()[kind] if entry.name == name]


def _order(entry: Entry) -> tuple[str, str]:
    return entry.name, entry.value


def _claim(entry: Entry) -> str:
    return f"{distribution_of(entry)!r} ({entry.value})"


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")
