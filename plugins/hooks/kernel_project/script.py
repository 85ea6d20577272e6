"""Reads a project that is one Python file, imported by its own name so that workers can import it, too."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, cast

from kernel.datasets import Datasets
from kernel.errors import ConfigError
from kernel.hooks import Listener
from kernel.project import Project
from kernel_project.importing import as_pipelines, import_module, named_listener, put_first

__all__ = ["read_script"]

#: What a file may call its pipelines; the first that is there counts.
_PIPELINES = ("pipelines", "register_pipelines", "pipeline")


def read_script(file: Path, env: str | None, load_versions: Mapping[str, str]) -> Project:
    """Import the file and read what it defines: pipelines, and maybe `datasets`, `parameters`, `hooks`."""
    if env is not None:
        raise ConfigError(f"a project of one file has no environments, but {env!r} was asked for")
    if load_versions:
        raise ConfigError("a project of one file chooses versions in its `datasets`; no others can be asked for")
    module = _imported(file)
    name, value = _pipelines(module, file)
    declared = _mapping(module, "datasets", file)
    return Project(
        path=file,
        name=file.stem,
        pipelines=as_pipelines(value, f"`{name}` in {file}"),
        datasets=Datasets(declared),
        parameters=_mapping(module, "parameters", file),
        listeners=_listeners(module, file),
        sys_path=[str(file.parent)],
        catalog_config=declared,
    )


def _imported(file: Path) -> ModuleType:
    name = file.stem
    if not name.isidentifier():
        raise ConfigError(f"{file} cannot be imported under the name {name!r}: use letters, digits and '_' only")
    put_first([str(file.parent)])
    module: ModuleType = sys.modules.get(name) or import_module(name, str(file))
    origin = getattr(module, "__file__", None)
    if origin is None or not Path(origin).exists() or not file.samefile(origin):
        raise ConfigError(f"{file} has the name of another module, {name!r} ({origin or 'built in'}): rename the file")
    return module


def _pipelines(module: ModuleType, file: Path) -> tuple[str, Any]:
    for name in _PIPELINES:
        value = getattr(module, name, None)
        if value is not None and not _of_kernel(value):
            return name, value
    raise ConfigError(f"{file} defines no pipeline: write `pipeline = ...`, or one of {', '.join(_PIPELINES[:2])}")


def _of_kernel(value: Any) -> bool:
    """Say whether this is what `from kernel import pipeline` brings in, and no pipeline of the file."""
    if not isinstance(value, (FunctionType, ModuleType, type)):
        return False
    origin = value.__name__ if isinstance(value, ModuleType) else value.__module__
    return origin.partition(".")[0] == "kernel"


def _mapping(module: ModuleType, name: str, file: Path) -> Mapping[str, Any]:
    value = getattr(module, name, {})
    if not isinstance(value, Mapping):
        raise ConfigError(f"`{name}` in {file} must be a mapping, got {type(value).__name__}")
    return cast("Mapping[str, Any]", value)


def _listeners(module: ModuleType, file: Path) -> Sequence[Listener]:
    value: Any = getattr(module, "hooks", ())
    if not isinstance(value, (list, tuple)):
        raise ConfigError(f"`hooks` in {file} must be a list, got {type(value).__name__}")
    return [_listener(each, module, file) for each in cast("Sequence[Any]", value)]


def _listener(value: Any, module: ModuleType, file: Path) -> Listener:
    """Name a listener as the module does, so that workers find it; without a name there it goes by value."""
    if isinstance(value, str):
        return named_listener(value, f"`hooks` in {file}")
    for name, each in vars(module).items():
        if each is value:
            target = f"{module.__name__}:{name}"
            return Listener(name=target, plugin=value, target=target)
    return Listener(name=f"{module.__name__}:{type(value).__name__}", plugin=value)
