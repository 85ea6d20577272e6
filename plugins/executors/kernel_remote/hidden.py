"""Modules that this process has and no other can import: made in memory, or loaded from off the path."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

__all__ = ["hidden_modules", "home", "taken_by_value"]


def hidden_modules(names: Iterable[str]) -> list[ModuleType]:
    """List the loaded modules that a worker, which searches where this process searches, would not find.

    Looked at are those of these names, and all that were made in memory. The main script is not listed: what is
    defined there goes by value anyway.
    """
    found = {name: module for name, module in list(sys.modules.items()) if "." not in name and _is_made(name, module)}
    for name in names:
        root = name.partition(".")[0]
        if name in sys.modules and (root in found or not _can_be_found(root)):
            found[name] = sys.modules[name]
    return list(found.values())


def _is_made(name: str, module: object) -> bool:
    """Say whether a module has neither a file nor anything else that it was loaded from."""
    return (
        getattr(module, "__spec__", None) is None  # asked first: nearly all have one
        and isinstance(module, ModuleType)
        and name == module.__name__ != "__main__"
        and getattr(module, "__file__", None) is None
    )


def _can_be_found(root: str) -> bool:
    return _lies_on_path(sys.modules.get(root)) or _is_found(root)


def _lies_on_path(module: object) -> bool:
    """Say whether a module's file is still where the path leads: quicker to see than to search."""
    file = str(getattr(getattr(module, "__spec__", None), "origin", None) or "")
    folder = os.path.dirname(file)  # noqa: PTH120 - as the path has it
    if hasattr(module, "__path__"):
        folder = os.path.dirname(folder)  # noqa: PTH120 - as above
    return folder in sys.path and os.path.exists(file)  # noqa: PTH110 - as above


def _is_found(root: str) -> bool:
    for finder in sys.meta_path:
        try:
            if finder.find_spec(root, None) is not None:
                return True
        except (AttributeError, ImportError, ValueError):  # an old or odd finder; what it could find is not known
            continue
    return False


def home(function: Callable[..., Any]) -> str:
    """Return the name of the module that defines a function, or the class of what is called like one."""
    while isinstance(function, partial):
        function = function.func
    return str(getattr(function, "__module__", ""))


@contextmanager
def taken_by_value(hidden: Sequence[ModuleType]) -> Generator[None]:
    """Have cloudpickle take what is in these modules by value."""
    if not hidden:
        yield
        return
    import importlib  # noqa: PLC0415 - with what follows

    cloudpickle: Any = importlib.import_module("cloudpickle")  # it has no types; seldom needed, and slow to load
    users = cloudpickle.list_registry_pickle_by_value()
    ours = [module for module in hidden if module.__name__ not in users]
    for module in ours:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in ours:
            cloudpickle.unregister_pickle_by_value(module)
