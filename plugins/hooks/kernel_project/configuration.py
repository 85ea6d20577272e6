"""The files of a folder project: base files, and the folder of an environment laid over them.

An environment is a folder beside a base file: `conf/prod/catalog.yml` lies over `conf/catalog.yml`. Of the
catalog and of the credentials it replaces whole entries; parameters are merged at every depth.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen

from kernel.errors import ConfigError
from kernel.project import merged
from kernel_project.problems import Problems, suggestion
from kernel_project.yaml_file import read_yaml

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kernel_project.settings import Settings

__all__ = ["DEFAULT_ENV", "Configuration", "environment", "read_configuration"]

#: The environment that is used when none is named and its folder is there.
DEFAULT_ENV = "local"
_ENV_NAME = re.compile(r"\w[\w.-]*", re.ASCII)


@frozen
class Configuration:
    """What the files of a project say, in one environment."""

    catalog: Mapping[str, Any]
    parameters: Mapping[str, Any]
    credentials: Mapping[str, Any]


def environment(folder: Path, settings: Settings, asked: str | None) -> str | None:
    """Choose the environment: the one asked for, else `local` if there is such a folder, else none.

    Raises ConfigError when the one asked for is not a plain name or has no folder.
    """
    bases = {(folder / file).parent for file in (settings.catalog, settings.parameters, settings.credentials)}
    if asked is None:
        return DEFAULT_ENV if any((base / DEFAULT_ENV).is_dir() for base in bases) else None
    if not _ENV_NAME.fullmatch(asked):
        raise ConfigError(f"the environment {asked!r} is no plain name: letters, digits, '_', '-' and '.' make one")
    if not any((base / asked).is_dir() for base in bases):
        there = sorted({each.name for base in bases if base.is_dir() for each in base.iterdir() if each.is_dir()})
        looked = ", ".join(str(base / asked) for base in sorted(bases))
        raise ConfigError(f"there is no environment {asked!r}: no folder {looked}{suggestion(asked, there)}")
    return asked


def read_configuration(folder: Path, settings: Settings, env: str | None, problems: Problems) -> Configuration:
    """Read and lay over each other the three files; what is wrong with them is added to `problems`."""
    layers: dict[str, list[dict[str, Any]]] = {}
    for kind in ("catalog", "parameters", "credentials"):
        base = folder / cast("str", getattr(settings, kind))
        layers[kind] = []
        if kind in settings.given and kind != "credentials" and not base.is_file():
            problems.add(f"there is no file {base}, which [tool.kernel] names as its {kind}")
        for file in (base, base.parent / env / base.name) if env else (base,):
            if file.is_file():
                with problems.collected():
                    layers[kind].append(read_yaml(file))
    parameters: dict[str, Any] = {}
    for layer in layers["parameters"]:
        parameters = merged(parameters, layer)
    return Configuration(_replaced(layers["catalog"]), parameters, _replaced(layers["credentials"]))


def _replaced(layers: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: entry for layer in layers for name, entry in layer.items()}
