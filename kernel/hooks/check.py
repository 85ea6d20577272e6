"""Which hooks there are, which of them an object implements, and what is wrong with its implementations."""

from __future__ import annotations

import inspect
import warnings
from typing import TYPE_CHECKING, Any

import pluggy

from kernel.errors import PluginError
from kernel.specs.catalog import DatasetHooks
from kernel.specs.executor import WorkerHooks
from kernel.specs.markers import hookspec
from kernel.specs.runner import NodeHooks, ProjectHooks, RunHooks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from kernel.hooks.listener import Listener

__all__ = ["HOOKS", "WORKER_HOOKS", "hooks_of", "register"]

_SPECS = (ProjectHooks, RunHooks, NodeHooks, DatasetHooks, WorkerHooks)


def _declared(*specs: type[Any]) -> frozenset[str]:
    mark = f"{hookspec.project_name}_spec"
    return frozenset(name for spec in specs for name, member in vars(spec).items() if hasattr(member, mark))


#: The names of all hooks, and of those that are called where nodes run.
HOOKS = _declared(*_SPECS)
WORKER_HOOKS = _declared(NodeHooks, DatasetHooks) | {"after_worker_start", "before_worker_stop"}


class _Registry(pluggy.PluginManager):
    """Looks past the language's own attributes, most of any object: registering takes a third of the time."""

    def parse_hookspec_opts(self, module_or_class: Any, name: str) -> Any:
        return None if name.startswith("__") else super().parse_hookspec_opts(module_or_class, name)

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        return None if name.startswith("__") else super().parse_hookimpl_opts(plugin, name)


def hooks_of(plugin: Any) -> dict[str, str]:
    """Return attribute -> hook of all that the object has marked as a `hookimpl`, known hook or not."""
    return {attribute: options.get("specname") or attribute for attribute, options in _marks(plugin).items()}


def register(listeners: Sequence[Listener]) -> pluggy.PluginManager:
    """Register the listeners in order, each under its position: two instances of a class may share a name.

    Raises one `PluginError` with every implementation that fits no hook.
    """
    registry = _Registry(hookspec.project_name)
    for spec in _SPECS:
        registry.add_hookspecs(spec)
    problems: list[str] = []
    for listener in listeners:  # a comprehension would be a frame of its own on some Pythons, and warnings count frames
        problems += _misfits(listener)
    if problems:
        raise PluginError("\n".join(problems))
    for position, listener in enumerate(listeners):
        try:
            registry.register(listener.plugin, name=str(position))
        except pluggy.PluginValidationError as error:
            reason = " ".join(str(error).splitlines()[1:])
            raise PluginError(f"{listener} implements a hook wrongly: {reason}. {listener.way_out}") from error
        except ValueError as error:
            raise PluginError(f"{listener} was given twice, or equals another listener. {listener.way_out}") from error
    registry.check_pending()
    return registry


def _marks(plugin: Any) -> dict[str, Any]:
    registry = _Registry(hookspec.project_name)
    found = {attribute: registry.parse_hookimpl_opts(plugin, attribute) for attribute in dir(plugin)}
    return {attribute: options for attribute, options in found.items() if options is not None}


def _misfits(listener: Listener) -> Iterator[str]:
    """Yield one line for each implementation of a hook that does not exist, or with an argument it lacks."""
    marks = _marks(listener.plugin)
    if not marks:
        message = f"{listener} listens to no hook: mark its methods with @kernel.hookimpl"
        warnings.warn(message, UserWarning, stacklevel=4)  # at who built the Hooks
    for attribute, options in marks.items():
        name = options.get("specname") or attribute
        if name in HOOKS:
            yield from _foreign_arguments(listener, name, getattr(listener.plugin, attribute))
        elif not options.get("optionalhook"):
            what = f"{listener} implements the hook {name!r}, which does not exist."
            yield f"{what}{_hint(name)} {listener.way_out}"


def _foreign_arguments(listener: Listener, hook: str, method: Callable[..., Any]) -> Iterator[str]:
    spec = next(spec for spec in _SPECS if hasattr(spec, hook))
    known = [name for name in inspect.signature(getattr(spec, hook)).parameters if name != "self"]
    named = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    for parameter in inspect.signature(method).parameters.values():
        required = parameter.kind in named and parameter.default is parameter.empty
        if required and parameter.name not in known:
            yield (
                f"{listener} implements the hook {hook!r} with the argument {parameter.name!r}, which it "
                f"does not have; its arguments are {', '.join(known)}. {listener.way_out}"
            )


def _hint(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - a worker needs it on this error path only

    near = get_close_matches(name, HOOKS, n=1)
    return f" Did you mean {near[0]!r}?" if near else f" The hooks are {', '.join(sorted(HOOKS))}."
