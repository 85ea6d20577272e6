"""What a project is: pipelines, datasets, parameters and listeners. Which files make one up, plugins know."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from inspect import getdoc
from typing import TYPE_CHECKING, Any, cast

from attrs import evolve, field, frozen

from kernel.errors import ConfigError, HookError, KernelError, ValidationError
from kernel.hooks import Hooks

if TYPE_CHECKING:
    from pathlib import Path

    from kernel.datasets import Datasets
    from kernel.hooks import Listener
    from kernel.pipelines import Pipeline

__all__ = ["DEFAULT_PIPELINE", "Project", "load", "merged", "parameter_values"]

_log = logging.getLogger(__name__)

#: The name of the pipeline that runs when none is named.
DEFAULT_PIPELINE = "__default__"


@frozen(eq=False)
class Project:
    """A project as it was read from `path`, for one environment.

    `catalog` and `executor` are the names of plugins (None: the defaults), their options those of the
    project's settings. `sys_path` are the folders that its modules are imported from. `catalog_config` and
    `credentials` are what `datasets` was made of, for listeners; they stay out of every message, as do the
    values of parameters.
    """

    path: Path
    name: str
    pipelines: Mapping[str, Pipeline] = field(repr=False)
    datasets: Datasets = field(repr=False)
    parameters: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)
    listeners: Sequence[Listener] = field(default=(), repr=False)
    executor: str | None = None
    catalog: str | None = None
    executor_options: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)
    catalog_options: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)
    sys_path: Sequence[str] = ()
    env: str | None = None
    catalog_config: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)
    credentials: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)


def load(
    path: Path,
    *,
    hooks: Hooks,
    env: str | None = None,
    params: Mapping[str, Any] | None = None,
    load_versions: Mapping[str, str] | None = None,
) -> Project:
    """Read the project at `path`: the first plugin that knows its kind does it.

    `params` are laid over the project's parameters, and every parameter becomes a dataset in memory. Then
    the listeners of plugins and those of the project itself hear that it is there. Raises ConfigError when
    there is no project, or a faulty one, or ValidationError when neither a node nor the project knows one of `params`.
    """
    path = path.resolve()
    if not path.exists():
        raise ConfigError(f"there is no file or folder {path}")
    params, versions = dict(params or {}), dict(load_versions or {})
    project = _asked(hooks, path=path, env=env, params=params, load_versions=versions)
    if project is None:
        raise ConfigError(_nobody_knows(path, hooks))
    _check_params(params, project)
    parameters = merged(project.parameters, params)
    datasets = project.datasets.with_values(parameter_values(parameters))
    project = evolve(project, parameters=parameters, datasets=datasets)
    _announce(project, Hooks([*hooks.listeners, *project.listeners]), versions)
    return project


def _asked(hooks: Hooks, **arguments: Any) -> Project | None:
    if hooks.load_project is None:
        return None
    try:
        project: Project | None = hooks.load_project(**arguments)
    except HookError as error:
        # What a plugin says of a faulty project is the message; that a plugin said so helps nobody.
        if isinstance(error.__cause__, KernelError):
            raise error.__cause__ from error.__cause__.__cause__
        raise
    return project


def _announce(project: Project, hooks: Hooks, load_versions: Mapping[str, str]) -> None:
    if hooks.after_context_created is not None:
        hooks.after_context_created(context=project)
    if hooks.after_catalog_created is not None:
        hooks.after_catalog_created(
            catalog=project.datasets,
            conf_catalog=project.catalog_config,
            conf_creds=project.credentials,
            parameters=project.parameters,
            save_version=project.datasets.save_version,
            load_versions=load_versions,
        )


def _nobody_knows(path: Path, hooks: Hooks) -> str:
    """Say what each plugin looks for, in its own words: the first line of its docstring."""
    kinds = [
        f"  - {listener.name}: {(getdoc(implementation) or 'says not what').splitlines()[0]}"
        for listener in hooks.listeners
        if (implementation := getattr(listener.plugin, "load_project", None)) is not None
    ]
    if not kinds:
        return f"{path} cannot be read: no installed plugin reads projects, or all that do are switched off"
    return "\n".join([f"{path} is no project. What the installed plugins look for:", *kinds])


def _check_params(params: Mapping[str, Any], project: Project) -> None:
    """Refuse a parameter of this run that nobody knows: most likely it is mistyped.

    One that is new in a group that a node reads as a whole may be meant, since only the node knows what may be in it:
    there is a warning if the project has other parameters in that group.
    """
    read = {name for pipeline in project.pipelines.values() for name in pipeline.inputs()}
    given = {_plain(name) for name, _ in _nested("params:", project.parameters)}
    known = given | {_plain(name) for name in read if name.startswith("params:")}
    problems: list[str] = []
    for full, value in _nested("params:", params):
        name = _plain(full)
        if name in known or isinstance(value, Mapping):
            continue
        if "parameters" not in read and not any(full.startswith(f"{each}.") for each in read):
            problems.append(f"neither a node nor the project knows the parameter {name!r}; {_hint(name, known)}")
        elif beside := {each for each in given if each.rpartition(".")[0] == name.rpartition(".")[0]}:
            _log.warning("the project has no parameter %r yet, it is added; %s", name, _hint(name, beside))
    if problems:
        raise ValidationError(problems)


def _plain(name: str) -> str:
    """Return a parameter's name as users write it."""
    return name.removeprefix("params:")


def _hint(name: str, known: Collection[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    return f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(names) or 'none'}"


def merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Lay `over` on `base`: mappings are merged at every depth, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merged(cast("Mapping[str, Any]", old), cast("Mapping[str, Any]", value)) if both else value
    return result


def parameter_values(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Name every parameter as nodes ask for it: `parameters` for all, `params:a.b` for each at any depth."""
    return {"parameters": parameters, **dict(_nested("params:", parameters))}


def _nested(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        yield f"{prefix}{key}", value
        if isinstance(value, Mapping):
            yield from _nested(f"{prefix}{key}.", cast("Mapping[str, Any]", value))
