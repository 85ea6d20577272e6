"""Imports what a project names by "module:attribute", and makes pipelines and listeners of it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import reduce
from operator import add
from typing import Any, cast

from kernel.errors import ConfigError, KernelError, PipelineError
from kernel.hooks import Listener
from kernel.pipelines import Pipeline
from kernel.project import DEFAULT_PIPELINE
from kernel_project.problems import suggestion

__all__ = ["as_pipelines", "import_module", "import_object", "named_listener", "put_first"]


def put_first(folders: Sequence[str]) -> None:
    """Make the modules in these folders importable, before all others and in this order."""
    sys.path[:] = [*folders, *(each for each in sys.path if each not in folders)]


def import_module(name: str, where: str) -> Any:
    """Import a module of the project. Raises ConfigError that starts with `where`; the fault is its cause."""
    try:
        return importlib.import_module(name)
    except KernelError:  # a pipeline that cannot be says so itself
        raise
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(f"{error.name}.")):
            raise ConfigError(f"{where}: there is no module {error.name!r} (looked in {_places()})") from None
        raise ConfigError(f"{where}: importing {name!r} failed: {error}") from error
    except (Exception, SystemExit) as error:  # a project's module may do anything
        problem = f"{type(error).__name__}: {error}"
        raise ConfigError(f"{where}: importing {name!r} failed: {problem}") from error


def _places() -> str:
    first = [place or "." for place in sys.path[:2]]
    return ", ".join(first) + (", ..." if len(sys.path) > len(first) else "")


def import_object(target: str, where: str) -> Any:
    """Import "module:attribute"; the attribute may have dots. Raises ConfigError that starts with `where`."""
    module_name, _, attribute = target.partition(":")
    if not all(part.isidentifier() for part in [*module_name.split("."), *attribute.split(".")]):
        raise ConfigError(f"{where}: expected 'module:attribute', got {target!r}")
    found = import_module(module_name, where)
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [name for name in dir(found) if not name.startswith("_")]
            raise ConfigError(f"{where}: {module_name!r} has no {part!r}{suggestion(part, known)}")
        found = getattr(found, part)
    return found


def named_listener(target: str, where: str) -> Listener:
    """Make a listener of "module:attribute": an object with hook methods, or a class of such."""
    return Listener(name=target, plugin=import_object(target, where), target=target)


def as_pipelines(value: Any, where: str) -> dict[str, Pipeline]:
    """Turn a pipeline, a mapping of them, or a function of either, into a mapping with `__default__`.

    Where a mapping has no `__default__`, it is the sum of all, if they can run together.
    """
    made = _called(value, where)
    kind = type(made).__name__
    if isinstance(made, Pipeline):
        return {DEFAULT_PIPELINE: made}
    if not isinstance(made, Mapping):
        hint = "; put the nodes into pipeline([...])" if isinstance(made, (list, tuple)) else ""
        raise ConfigError(f"{where}: expected a Pipeline or a mapping of them, got {kind}{hint}")
    pipelines: dict[str, Pipeline] = {}
    for name, each in cast("Mapping[object, object]", made).items():
        if not isinstance(name, str) or not isinstance(each, Pipeline):
            raise ConfigError(f"{where}: {name!r} should be a name and stand for a Pipeline, not {type(each).__name__}")
        pipelines[name] = each
    if not pipelines:
        raise ConfigError(f"{where}: there are no pipelines in it")
    if DEFAULT_PIPELINE not in pipelines:
        with suppress(PipelineError):  # they may be alternatives: who asks for the sum is told why there is none
            pipelines[DEFAULT_PIPELINE] = reduce(add, pipelines.values())
    return pipelines


def _called(value: Any, where: str) -> Any:
    """Return what the function makes; what is no function is returned as it is."""
    made: Any = value
    if callable(value) and not isinstance(value, (Pipeline, Mapping)):
        try:
            made = value()
        except KernelError:  # a pipeline that cannot be says so itself
            raise
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            raise ConfigError(f"{where}: calling it failed: {problem}") from error
    return made
