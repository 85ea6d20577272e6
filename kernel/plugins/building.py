"""Builds a plugin from its options; an option that it does not take is named with those that it takes."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar

from kernel.errors import ConfigError, KernelError, PluginError
from kernel.plugins.load import lacks

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["build", "parameters_of"]

Built = TypeVar("Built")


def build(factory: Callable[..., Built], kind: str, name: str, options: Mapping[str, Any]) -> Built:
    """Call `factory(**options)` for the plugin of this kind and name.

    Raises `ConfigError` for options that are unknown, missing or refused, and `PluginError` when the factory
    fails otherwise or builds something that is not of its kind. Values of options are never shown.
    """
    accepted = parameters_of(factory)
    if accepted is not None and (problems := _misfits(accepted, options)):
        taken = [each.name for each in accepted if each.kind is not each.VAR_KEYWORD]
        listed = f"Its options are {', '.join(taken)}." if taken else "It takes no options."
        raise ConfigError(f"{kind} {name!r} {' and '.join(problems)}. {listed}")
    try:
        built = factory(**options)
    except KernelError:
        raise
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{kind} {name!r} refuses its options: {type(error).__name__}: {error}") from error
    except Exception as error:  # a stranger's constructor raises anything
        raise PluginError(f"{kind} {name!r} cannot be built: {type(error).__name__}: {error}") from error
    if kind in {"executor", "catalog"} and (missing := lacks(kind, built)):
        what = f"an object of type {type(built).__name__!r}"
        raise PluginError(f"{kind} {name!r} built {what}, which lacks {', '.join(missing)}")
    return built


def parameters_of(factory: Callable[..., Any]) -> list[inspect.Parameter] | None:
    """Return what the factory takes by name, `**options` included, or None when Python cannot tell."""
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return None
    by_name = (
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
        inspect.Parameter.KEYWORD_ONLY,
        inspect.Parameter.VAR_KEYWORD,
    )
    return [each for each in parameters if each.kind in by_name]


def _misfits(accepted: list[inspect.Parameter], options: Mapping[str, Any]) -> list[str]:
    names = [each.name for each in accepted if each.kind is not each.VAR_KEYWORD]
    takes_any = len(names) < len(accepted)
    needed = [each.name for each in accepted if each.kind is not each.VAR_KEYWORD and each.default is each.empty]
    unknown = [] if takes_any else [option for option in options if option not in names]
    missing = [option for option in needed if option not in options]
    problems: list[str] = []
    if unknown:
        problems.append(f"has no option {', '.join(_suggested(option, names) for option in unknown)}")
    if missing:
        problems.append(f"needs the option {', '.join(map(repr, missing))}")
    return problems


def _suggested(option: str, names: list[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

    near = get_close_matches(option, names, n=1)
    return f"{option!r} (did you mean {near[0]!r}?)" if near else repr(option)
