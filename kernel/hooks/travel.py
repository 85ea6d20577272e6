"""How listeners get to workers: by name where they have one, else by value."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING, Any

from kernel.errors import PluginError
from kernel.hooks.listener import Listener, resolve
from kernel.specs.tasks import ListenerRef
from kernel.values.by_value import by_value

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["arrive", "depart", "unpicklable"]


def depart(listener: Listener) -> ListenerRef:
    """Return what a worker needs to have the same listener."""
    target = listener.plugin if listener.target is None else listener.target
    return ListenerRef(listener.name, target, listener.distribution)


def arrive(ref: ListenerRef) -> Listener:
    """Build the listener in a worker. Raises `PluginError` when it cannot be imported there."""
    if not isinstance(ref.target, str):
        return Listener(ref.name, ref.target, ref.distribution)
    try:
        plugin = resolve(ref.target)
    except Exception as error:  # an import runs a stranger's module
        source = f" of distribution {ref.distribution!r}" if ref.distribution else ""
        raise PluginError(
            f"listener {ref.name!r}{source} cannot be imported in a worker as {ref.target!r} "
            f"({type(error).__name__}: {error}). A worker must find the same modules as the runner's process."
        ) from error
    return Listener(ref.name, plugin, ref.distribution, ref.target)


def unpicklable(refs: Iterable[ListenerRef]) -> list[str]:
    """Return one line for each listener that travels by value and cannot: its name, the cause, what to do."""
    return [
        f"{Listener(ref.name, ref.target, ref.distribution)} cannot be sent to workers: {cause}"
        for ref in refs
        if (cause := _obstacle(ref.target))
    ]


def _obstacle(target: Any) -> str:
    if isinstance(target, str):
        return ""
    if isinstance(target, ModuleType) and target.__name__ == "__main__":
        return "it is the module '__main__', which is another one there. Put it in a module of its own"
    try:
        by_value(target, named=False)
    except Exception as error:  # an object's own pickling raises anything
        return (
            f"{type(error).__name__}: {error}. Leave out what cannot be pickled (__getstate__), "
            f"or give its class instead of the object"
        )
    return ""
