"""One listener: what it is called, where it comes from and under which name a worker finds it."""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import Any

from attrs import frozen

from kernel.errors import PluginError

__all__ = ["Listener", "resolve"]


@frozen(eq=False)
class Listener:
    """A module or an object with methods marked `hookimpl`; a class stands for one instance of it.

    `distribution` is where it comes from ('' when it was given in code); `target` is "module:attr" when a
    worker can find it under that name, None when it has to travel by value. Raises `PluginError` for a class
    that cannot be built without arguments.
    """

    name: str
    plugin: Any
    distribution: str = ""
    target: str | None = None

    def __attrs_post_init__(self) -> None:
        given = self.plugin
        if self.target is None and isinstance(given, (ModuleType, type)):
            object.__setattr__(self, "target", _target(given))
        if isinstance(given, type):
            object.__setattr__(self, "plugin", self._built(given))

    def _built(self, cls: type[Any]) -> Any:
        try:
            return cls()
        except Exception as error:  # a stranger's constructor raises anything
            raise PluginError(
                f"{self} is the class {cls.__qualname__}, which cannot be built without arguments "
                f"({type(error).__name__}: {error}). Give an instance of it instead. {self.way_out}"
            ) from error

    @property
    def way_out(self) -> str:
        """Say how to run without this listener."""
        return f"Run without it: --no-plugin {self.name}" if self.distribution else "Or run without it."

    def __str__(self) -> str:
        source = f" of distribution {self.distribution!r}" if self.distribution else ""
        return f"listener {self.name!r}{source}"


def resolve(target: str) -> Any:
    """Import what "module:attr" (or "module") stands for; raises whatever the import raises."""
    module, _, path = target.partition(":")
    found: Any = import_module(module)
    for attribute in filter(None, path.split(".")):
        found = getattr(found, attribute)
    return found


def _target(plugin: ModuleType | type[Any]) -> str | None:
    """Return the name under which another process can import the module or class, or None."""
    if isinstance(plugin, ModuleType):
        name = plugin.__name__
        return name if name != "__main__" and sys.modules.get(name) is plugin else None
    if plugin.__module__ == "__main__":
        return None
    found: Any = sys.modules.get(plugin.__module__)
    for attribute in plugin.__qualname__.split("."):
        found = getattr(found, attribute, None)
    return f"{plugin.__module__}:{plugin.__qualname__}" if found is plugin else None
