"""Which libraries a project's modules use: the process that makes workers loads those, and nothing of the project.

What a module makes when it is imported (connections, generators, threads, pools of a library's own) belongs to the
process that imported it, and a fork copies only a part of it. To import a library is harmless; to use one at import is
what projects do. So the libraries are imported once, for all workers, and each worker imports the project by itself.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any, cast

__all__ = ["imported_by", "is_from_a_library", "is_installed", "unused_by"]

#: Our own packages count as installed wherever they are.
_OURS = frozenset(
    {
        "kernel",
        "kernel_process_pool",
        "kernel_remote",
        "kernel_memory",
        "kernel_shared_memory",
        "kernel_objects",
        "kernel_project",
    }
)
_FOLDERS = frozenset({"site-packages", "dist-packages"})
_STDLIB = tuple(f"{sysconfig.get_path(name)}/" for name in ("stdlib", "platstdlib"))


def imported_by(modules: Iterable[str]) -> list[str]:
    """List the modules of installed libraries that these modules, loaded here, have names from, sorted.

    They are followed through the project: what is not installed, and the packages that `modules` themselves are in.
    """
    waiting = [name for name in modules if name in sys.modules]
    own = {_top(name) for name in waiting}
    seen = set(waiting)
    found: set[str] = set()
    while waiting:
        for name in _used_by(sys.modules[waiting.pop()]):
            if name in seen:
                continue
            seen.add(name)
            if _top(name) in own or not is_installed(name):
                waiting.append(name)
            else:
                found.add(name)
    return sorted(found)


def is_installed(name: str) -> bool:
    """Say whether a loaded module belongs to a library: Python's, an installed distribution's, or ours."""
    if _top(name) in _OURS:
        return True
    origin = getattr(getattr(sys.modules.get(name), "__spec__", None), "origin", None)
    if not isinstance(origin, str):
        return False
    return origin in {"built-in", "frozen"} or is_from_a_library(origin) or origin.startswith(_STDLIB)


def is_from_a_library(file: str) -> bool:
    """Say whether a module's file is where distributions are installed."""
    return not _FOLDERS.isdisjoint(Path(file).parts)


def unused_by(loaded: Iterable[str], wanted: Iterable[str], own: Iterable[str]) -> list[str]:
    """List those of the modules that somebody who loads `wanted` would not have, as far as what is loaded here tells.

    What is wanted comes with its packages, and with what it uses. The packages of `own` are the project's, so nobody
    but a worker loads them.
    """
    tops = set(map(_top, own))
    had = {name for name in wanted if name in sys.modules}
    had |= {package for name in had for package in _packages_of(name)}
    waiting = list(had)
    while waiting and not had.issuperset(loaded):  # most projects import what their nodes use, and nothing else
        name = waiting.pop()
        for each in (*_packages_of(name), *_used_by(sys.modules[name])):
            if each not in had:
                had.add(each)
                waiting.append(each)
    here = [name for name in loaded if name in sys.modules]  # what could not be loaded here was not loaded there
    return [name for name in here if name not in had or _top(name) in tops]


def _packages_of(name: str) -> Iterator[str]:
    while name := name.rpartition(".")[0]:
        if name in sys.modules:
            yield name


def _top(name: str) -> str:
    return name.partition(".")[0]


def _used_by(module: ModuleType) -> Iterator[str]:
    """Yield the loaded modules that a module has, or has something from, by name; nothing of it is asked."""
    for value in list(vars(module).values()):
        name = _home_of(value)
        if isinstance(name, str) and isinstance(sys.modules.get(name), ModuleType) and name != "__main__":
            yield name


def _home_of(value: object) -> Any:
    """Return the name of the module that a value is, or comes from.

    A value is looked at by its type alone: proxies and lazy modules answer to a question by doing what they put off.
    """
    kind = type(value)
    if issubclass(kind, ModuleType):
        return object.__getattribute__(value, "__dict__").get("__name__")
    if issubclass(kind, type):
        return type.__getattribute__(cast("type", value), "__module__")
    if kind is FunctionType or kind is BuiltinFunctionType:
        return value.__module__
    return type.__getattribute__(kind, "__module__")
