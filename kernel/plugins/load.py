"""Loads a plugin that was chosen by name, and refuses one that is broken or is not what its kind must be."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kernel.datasets.dataset import Dataset
from kernel.errors import PluginError
from kernel.plugins.installed import OWN_DISTRIBUTION, choose, distribution_of, origin, same_distribution
from kernel.specs.catalog import Catalog
from kernel.specs.executor import Executor
from kernel.values.libraries import Library

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel.plugins.entries import Entry

__all__ = ["import_plugin", "lacks", "load_catalog", "load_checked", "load_dataset_type", "load_executor"]

_PROTOCOLS: dict[str, type[Any]] = {"executor": Executor, "catalog": Catalog}


def load_executor(name: str) -> Callable[..., Executor]:
    """Return the factory of the executor of this name. Raises `PluginError` when it cannot be had."""
    factory: Callable[..., Executor] = load_checked("executor", choose("executor", name))
    return factory


def load_catalog(name: str) -> Callable[..., Catalog]:
    """Return the factory of the catalog of this name. Raises `PluginError` when it cannot be had."""
    factory: Callable[..., Catalog] = load_checked("catalog", choose("catalog", name))
    return factory


def load_dataset_type(name: str) -> type[Dataset]:
    """Return the dataset type of this name. Raises `PluginError` when it cannot be had."""
    found: type[Dataset] = load_checked("dataset", choose("dataset", name))
    return found


def load_checked(kind: str, entry: Entry) -> Any:
    """Import the plugin and see that it is what its kind must be; `kind` is no listener."""
    advice = f"It was chosen by name, so --no-plugin does not help: choose another {kind}, or mend this one."
    plugin = import_plugin(kind, entry, advice)
    problem = _PROBLEMS[kind](plugin) if kind in _PROBLEMS else _no_factory(kind, plugin)
    if problem:
        raise PluginError(f"{origin(kind, entry)} is not a {kind}: {problem}")
    return plugin


def import_plugin(kind: str, entry: Entry, advice: str) -> Any:
    """Import what the entry point stands for.

    Raises `PluginError` with the cause and what to do: install what is missing, if that is known, and
    `advice`.
    """
    try:
        return _imported(entry)
    except (Exception, SystemExit) as error:  # an import runs a stranger's module, which may even exit
        cause = f"{type(error).__name__}: {error}"
        raise PluginError(
            f"{origin(kind, entry)} cannot be imported: {cause}. {_remedy(entry, error)}{advice}"
        ) from error


def _imported(entry: Entry) -> Any:
    if same_distribution(entry.distribution, OWN_DISTRIBUTION):
        return entry.load()  # most runs need no other plugins, and stevedore takes as long to load as a pool to start
    from kernel.plugins.driver import Driver  # noqa: PLC0415 - see above

    return Driver(entry).driver


def lacks(kind: str, plugin: Any) -> Sequence[str]:
    """Return the methods and attributes of the kind's contract that an executor or catalog has not."""
    contract = _PROTOCOLS[kind]
    return [
        *_without_methods(kind, plugin),
        *(n for n in vars(contract).get("__annotations__", ()) if not hasattr(plugin, n)),
    ]


def _without_methods(kind: str, plugin: Any) -> list[str]:
    members = vars(_PROTOCOLS[kind]).items()
    methods = [name for name, member in members if inspect.isfunction(member) and not name.startswith("_")]
    return [name for name in methods if not callable(getattr(plugin, name, None))]


def _no_factory(kind: str, plugin: Any) -> str:
    """Say why this cannot build an executor or catalog. What it builds is checked by `build` once more.

    A class may set the attributes of the contract when it is built, so only its methods are asked for here.
    """
    if not callable(plugin):
        return f"it is a {type(plugin).__name__}, which cannot be called to build one"
    missing = _without_methods(kind, plugin) if isinstance(plugin, type) else []
    return f"it lacks {', '.join(missing)}" if missing else ""


def _no_dataset_type(plugin: Any) -> str:
    if not isinstance(plugin, type) or not issubclass(plugin, Dataset):
        what = f"the class {plugin.__qualname__}" if isinstance(plugin, type) else f"a {type(plugin).__name__}"
        return f"it is {what}, not a subclass of kernel.datasets.Dataset"
    missing = sorted(getattr(plugin, "__abstractmethods__", ()))
    return f"it lacks {', '.join(missing)}" if missing else ""


def _no_library(plugin: Any) -> str:
    return "" if isinstance(plugin, Library) else f"it is a {type(plugin).__name__}, not a kernel.values.Library"


_PROBLEMS: dict[str, Callable[[Any], str]] = {"dataset": _no_dataset_type, "values": _no_library}


def _remedy(entry: Entry, error: BaseException) -> str:
    """Say what to install when a module is missing: the distribution's extra that names it, or the module."""
    if not isinstance(error, ModuleNotFoundError) or not error.name or error.name == entry.module:
        return ""
    wanted = error.name.partition(".")[0]
    for requirement in (entry.dist.requires if entry.dist is not None else None) or ():
        extra = re.search(r"""extra\s*==\s*["']([^"']+)["']""", requirement)
        project = re.match(r"[\w.-]+", requirement)
        if extra and project and project[0].replace("-", "_").lower() == wanted.lower():
            return f"Install what it needs: pip install '{distribution_of(entry)}[{extra[1]}]'. "
    return f"Install the module {wanted!r} that it needs. "
