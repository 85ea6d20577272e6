"""Reads a project that is a folder with [tool.kernel] in its pyproject.toml."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from kernel.datasets import Dataset, Datasets
from kernel.errors import ConfigError, PluginError
from kernel.plugins import load_dataset_type
from kernel.project import Project
from kernel_project.configuration import environment, read_configuration
from kernel_project.importing import as_pipelines, import_object, named_listener, put_first
from kernel_project.problems import Problems
from kernel_project.settings import Settings, read_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kernel.hooks import Listener
    from kernel.pipelines import Pipeline

__all__ = ["read_folder"]


def read_folder(folder: Path, env: str | None, load_versions: Mapping[str, str]) -> Project | None:
    """Read the project in `folder`; None when its pyproject.toml has no [tool.kernel].

    Raises ConfigError with all that is wrong with settings, files and imports.
    """
    file = folder / "pyproject.toml"
    settings = read_settings(file)
    if settings is None:
        return None
    problems = Problems()
    env = environment(folder, settings, env)
    configuration = read_configuration(folder, settings, env, problems)
    sys_path = _sources(folder, settings, problems)
    put_first(sys_path)
    pipelines, listeners = _imported(settings, f"[tool.kernel] in {file}", problems)
    problems.raise_any()
    return Project(
        path=folder,
        name=settings.name or folder.name,
        pipelines=pipelines,
        datasets=Datasets.from_config(
            configuration.catalog,
            types=DatasetTypes(settings.dataset_types),
            credentials=configuration.credentials,
            load_versions=load_versions,
            folder=folder,
        ),
        parameters=configuration.parameters,
        listeners=listeners,
        executor=settings.executor,
        catalog=settings.catalog_plugin,
        executor_options=settings.executor_options,
        catalog_options=settings.catalog_options,
        sys_path=sys_path,
        env=env,
        catalog_config=configuration.catalog,
        credentials=configuration.credentials,
    )


def _sources(folder: Path, settings: Settings, problems: Problems) -> Sequence[str]:
    """List the folders with the project's modules; the default one need not be there."""
    if "source" in settings.given:
        for source in settings.source:
            if not (folder / source).is_dir():
                problems.add(f"there is no folder {folder / source}, which [tool.kernel] names as its source")
    places = [folder / source for source in settings.source if (folder / source).is_dir()]
    return [str(place) for place in places or [folder]]


def _imported(settings: Settings, where: str, problems: Problems) -> tuple[dict[str, Pipeline], Sequence[Listener]]:
    pipelines: dict[str, Pipeline] = {}
    listeners: list[Listener] = []
    with problems.collected():
        place = f"'pipelines' of {where}"
        pipelines = as_pipelines(import_object(settings.pipelines, place), f"{settings.pipelines} ({place})")
    for target in settings.hooks:
        with problems.collected():
            listeners.append(named_listener(target, f"'hooks' of {where}"))
    return pipelines, listeners


@frozen
class DatasetTypes:
    """Finds dataset types by name: those that the project's settings register, then those of plugins."""

    own: Mapping[str, str]

    def __call__(self, name: str) -> type[Dataset]:
        """Return the class. Raises ConfigError for a faulty one of the project, else PluginError."""
        target = self.own.get(name)
        if target is None:
            return self._installed(name)
        where = f"'dataset-types' of [tool.kernel], {name!r}"
        found = import_object(target, where)
        if not (isinstance(found, type) and issubclass(found, Dataset)):
            raise ConfigError(f"{where}: {target!r} is no subclass of kernel.Dataset")
        return found

    def _installed(self, name: str) -> type[Dataset]:
        try:
            return load_dataset_type(name)
        except PluginError as error:
            if not self.own:
                raise
            raise PluginError(f"{error} This project registers {', '.join(sorted(self.own))}.") from error
