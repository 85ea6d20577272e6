"""Explains each installed plugin: where it comes from, whether it works, what it takes and listens to."""

from __future__ import annotations

import inspect
import sys
import warnings
from types import ModuleType
from typing import TYPE_CHECKING, Any

from attrs import evolve, frozen

from kernel.errors import PluginError
from kernel.hooks import Hooks, hooks_of
from kernel.plugins.building import parameters_of
from kernel.plugins.installed import GROUPS, choose, distribution_of, scan
from kernel.plugins.listeners import is_blocked, load_listener, names_of_variable
from kernel.plugins.load import load_checked

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from kernel.plugins.entries import Entry

__all__ = ["PluginInfo", "describe"]


@frozen
class PluginInfo:
    """One installed plugin.

    `kind` is executor, catalog, dataset, values or listener; `value` its entry point; `status` is "ok",
    "blocked" or "broken: " and the cause. The rest is known of a plugin that was loaded: the `hooks` it
    listens to, the first line of its `doc`, its `options` ("name" or "name=default").
    """

    kind: str
    name: str
    distribution: str
    version: str
    value: str
    status: str = "ok"
    hooks: Sequence[str] = ()
    doc: str = ""
    options: Sequence[str] = ()


def describe(*, load: bool, blocked: Collection[str] = ()) -> list[PluginInfo]:
    """Return what is installed, in the order of kinds and names; with `load`, import it to see what it is.

    A plugin that is blocked, by name here or in KERNEL_NO_PLUGINS, is not imported. Raises nothing for a
    broken one: its status says the cause.
    """
    names = {*blocked, *names_of_variable()}
    return [_described(kind, entry, names, load) for kind in GROUPS for entry in scan()[kind]]


def _described(kind: str, entry: Entry, blocked: Collection[str], load: bool) -> PluginInfo:
    version = entry.dist.version if entry.dist is not None else ""
    info = PluginInfo(kind, entry.name, distribution_of(entry), version, entry.value)
    if kind == "listener" and is_blocked(entry, blocked):
        return evolve(info, status="blocked")
    try:
        choose(kind, entry.name)  # refuses a name that is taken twice
        return _loaded(info, entry) if load else info
    except PluginError as error:
        cause = error.__cause__
        return evolve(info, status=f"broken: {error if cause is None else f'{type(cause).__name__}: {cause}'}")


def _loaded(info: PluginInfo, entry: Entry) -> PluginInfo:
    if info.kind != "listener":
        plugin = load_checked(info.kind, entry)
        about = sys.modules[entry.module] if info.kind == "values" else plugin  # which is data, and the same for all
        return evolve(info, hooks=_heard(plugin), doc=_first_line(about), options=_options(plugin))
    listener = load_listener(entry)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            Hooks([listener])
        except UserWarning as warning:
            raise PluginError(str(warning)) from None
    return evolve(info, hooks=_heard(listener.plugin), doc=_first_line(listener.plugin))


def _heard(plugin: Any) -> Sequence[str]:
    return tuple(sorted(hooks_of(plugin).values()))


def _first_line(plugin: Any) -> str:
    told = plugin if isinstance(plugin, (type, ModuleType)) or inspect.isroutine(plugin) else type(plugin)
    return (told.__doc__ or "").strip().partition("\n")[0]


def _options(factory: Any) -> Sequence[str]:
    shown: list[str] = []
    for each in parameters_of(factory) or ():
        if each.kind is each.VAR_KEYWORD:
            shown.append(f"**{each.name}")
        else:
            shown.append(each.name if each.default is each.empty else f"{each.name}={_default(each.default)}")
    return tuple(shown)


def _default(value: Any) -> str:
    """Show a default; what attrs shows for one that is made anew at each call says nothing to a reader."""
    return "..." if type(value).__name__ in {"_Nothing", "Factory"} else repr(value)
