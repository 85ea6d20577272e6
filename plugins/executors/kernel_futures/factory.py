"""Finds what makes the pool, and fits the options to it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from concurrent.futures import Executor as Pool
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from multiprocessing import get_all_start_methods, get_context
from multiprocessing.context import BaseContext
from typing import Any, cast

from kernel.errors import ConfigError

__all__ = ["find_factory"]


def find_factory(factory: str | Callable[..., Pool], options: Mapping[str, Any]) -> Callable[[int], Pool]:
    """Return what makes a pool of so many workers. Raises ConfigError for what cannot be found or does not fit."""
    found: object = _resolved(factory) if isinstance(factory, str) else factory
    name = factory if isinstance(factory, str) else getattr(factory, "__name__", repr(factory))
    if not callable(found):
        raise ConfigError(f"the factory {name!r} of the executor 'futures' cannot be called")
    make = cast("Callable[..., Pool]", found)
    given = {key: _number(value) for key, value in options.items()}
    if make is ProcessPoolExecutor and "mp_context" not in given:
        given["mp_context"] = _context()
    sizes = "max_workers" not in given and _takes(make, "max_workers")
    _check(make, str(name), {**given, "max_workers": 1} if sizes else given)

    def pool(workers: int) -> Pool:
        made = make(**given, max_workers=workers) if sizes else make(**given)
        if not callable(getattr(made, "submit", None)) or not callable(getattr(made, "shutdown", None)):
            kind = type(made).__name__
            raise ConfigError(
                f"the factory {name!r} of the executor 'futures' made a {kind}, which is no pool of futures"
            )
        return made

    return pool


def _resolved(reference: str) -> Any:
    module, colon, name = reference.partition(":")
    if not (module and colon and name):
        raise ConfigError(f"a factory is given as 'module:name', like 'loky:get_reusable_executor'; got {reference!r}")
    try:
        found: Any = import_module(module)
        for part in name.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError) as error:
        raise ConfigError(
            f"the factory {reference!r} of the executor 'futures' cannot be found: {error}. "
            f"Is its distribution installed here?"
        ) from error
    return found


def _context() -> BaseContext:
    """Return how processes are made: never by a fork of this one, which may have threads, a pool's own among them."""
    methods = get_all_start_methods()
    return get_context("forkserver" if "forkserver" in methods else "spawn")


def _number(value: Any) -> Any:
    """Return a whole number for its text: options of the command line are texts."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


def _parameters(make: Callable[..., Any]) -> Mapping[str, inspect.Parameter] | None:
    try:
        return inspect.signature(make).parameters
    except (TypeError, ValueError):  # written in C, or its signature is a lie
        return None


def _takes(make: Callable[..., Any], name: str) -> bool:
    parameters = _parameters(make)
    if parameters is None:
        return False
    return name in parameters or any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters.values())


def _check(make: Callable[..., Any], name: str, options: Mapping[str, Any]) -> None:
    try:
        inspect.signature(make).bind(**options)
    except TypeError as error:
        raise ConfigError(
            f"the factory {name!r} of the executor 'futures' does not take these options: {error}"
        ) from error
    except ValueError:
        return  # no signature to check against
