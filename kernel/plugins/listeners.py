"""Loads the listeners of plugins: all that are installed, but for those that are blocked by name."""

from __future__ import annotations

import os
import warnings
from typing import TYPE_CHECKING

from kernel.errors import PluginError
from kernel.hooks import Listener
from kernel.plugins.installed import distribution_of, origin, same_distribution, scan
from kernel.plugins.load import import_plugin

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from kernel.plugins.entries import Entry

__all__ = ["VARIABLE", "is_blocked", "load_listener", "load_listeners", "names_of_variable"]

#: The environment variable with names of listeners or distributions to do without, divided by commas.
VARIABLE = "KERNEL_NO_PLUGINS"


def load_listeners(blocked: Collection[str] = (), enabled: bool = True) -> list[Listener]:
    """Load every installed listener that is not blocked, sorted by name; none unless `enabled`.

    `blocked`, and the variable KERNEL_NO_PLUGINS, name listeners or distributions; what is blocked is not
    even imported. Raises `PluginError` for a name in `blocked` that nobody has (for the variable, which may
    serve several projects, a warning is given), for a name that two listeners share and for a broken one.
    """
    if not enabled:
        return []
    if strangers := _unknown(blocked):
        raise PluginError(f"--no-plugin names what is not installed: {strangers}. {_installed()}")
    variable = names_of_variable()
    if strangers := _unknown(variable):
        message = f"{VARIABLE} names what is not installed: {strangers}. {_installed()}"
        warnings.warn(message, UserWarning, stacklevel=2)
    wanted = [entry for entry in scan()["listener"] if not is_blocked(entry, {*blocked, *variable})]
    _refuse_duplicates(wanted)
    return [load_listener(entry) for entry in wanted]


def load_listener(entry: Entry) -> Listener:
    """Import one listener, and build it if it is a class; a `PluginError` names the flag that skips it."""
    plugin = import_plugin("listener", entry, f"Run without it: --no-plugin {entry.name}")
    target = entry.value.partition("[")[0].strip()
    return Listener(entry.name, plugin, distribution_of(entry), target)


def is_blocked(entry: Entry, blocked: Collection[str]) -> bool:
    """Say whether the listener's name, or its distribution's, is among those."""
    return any(entry.name == name or same_distribution(distribution_of(entry), name) for name in blocked)


def names_of_variable() -> list[str]:
    """Return the names in KERNEL_NO_PLUGINS."""
    return [name for part in os.environ.get(VARIABLE, "").split(",") if (name := part.strip())]


def _unknown(blocked: Collection[str]) -> str:
    entries = scan()["listener"]
    return ", ".join(repr(name) for name in blocked if not any(is_blocked(entry, [name]) for entry in entries))


def _installed() -> str:
    claims = [f"{entry.name} (of {distribution_of(entry)})" for entry in scan()["listener"]]
    return f"Installed listeners: {', '.join(claims)}." if claims else "No listener is installed."


def _refuse_duplicates(entries: Sequence[Entry]) -> None:
    first: dict[str, Entry] = {}
    for entry in entries:
        if entry.name in first:
            other = first[entry.name]
            raise PluginError(
                f"two listeners have the name {entry.name!r}: {origin('listener', other)} and "
                f"{origin('listener', entry)}. Block one of them by its distribution: "
                f"--no-plugin {distribution_of(other)} or --no-plugin {distribution_of(entry)}"
            )
        first[entry.name] = entry
