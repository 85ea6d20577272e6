"""What listeners to a run can hear: hooks around projects, runs and nodes, with the field's names and arguments."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.specs.markers import hookspec

if TYPE_CHECKING:
    from kernel.datasets import Datasets
    from kernel.nodes import Node
    from kernel.pipelines import Pipeline
    from kernel.project import Project
    from kernel.result import Result

__all__ = ["NodeHooks", "ProjectHooks", "RunHooks"]


class ProjectHooks:
    """Hooks around the loading of a project, called in the runner's process."""

    @hookspec(firstresult=True)
    def load_project(
        self, path: Path, env: str | None, params: Mapping[str, Any], load_versions: Mapping[str, str]
    ) -> Project | None:
        """Read the project at `path` (a folder or a file), or return None when it is of another kind.

        `params` are parameters of this run, which the kernel lays over the project's. `load_versions` has the version
        of each dataset for which one was asked. The first to return a project decides; where none does, the user is
        shown the first line of each implementation's docstring, so let it say what kind of project it reads.
        """

    @hookspec(firstresult=True)
    def load_settings(self, path: Path) -> Mapping[str, Any] | None:
        """Say which `executor` the project at `path` names, and its `executor_options`, before anything is imported.

        The executor may begin then while the project is loaded. Return None for a project of another kind; what is
        wrong with the settings is for `load_project` to tell.
        """

    @hookspec
    def after_context_created(self, context: Project) -> None:
        """Listen to a project that has been read."""

    @hookspec
    def after_catalog_created(
        self,
        catalog: Datasets,
        conf_catalog: Mapping[str, Any],
        conf_creds: Mapping[str, Any],
        parameters: Mapping[str, Any],
        save_version: str,
        load_versions: Mapping[str, str],
    ) -> None:
        """Listen to the declared datasets of a project; entries may be added to `catalog`."""


class RunHooks:
    """Hooks around a run, called in the runner's process."""

    @hookspec
    def before_pipeline_run(self, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: Datasets) -> None:
        """Listen to a run that is about to start; nothing has been validated yet."""

    @hookspec
    def after_pipeline_run(
        self, run_params: Mapping[str, Any], run_result: Result, pipeline: Pipeline, catalog: Datasets
    ) -> None:
        """Listen to a run that ended well."""

    @hookspec
    def on_pipeline_error(
        self, error: BaseException, run_params: Mapping[str, Any], pipeline: Pipeline, catalog: Datasets
    ) -> None:
        """Listen to a run that failed; `error` is what the caller of the run gets."""

    @hookspec(firstresult=True)
    def required_workers(self, pipeline: Pipeline, asked: int | None) -> int | None:
        """Say how many workers the run can use; None leaves it to the next listener, at last to the kernel's rule."""

    @hookspec(firstresult=True)
    def retry_lost_node(self, node: Node, attempt: int, error: BaseException) -> bool | None:
        """Say whether a node whose worker died runs again; None leaves it to the node's `death_retries`."""


class NodeHooks:
    """Hooks around one node, called in the worker that runs it. `catalog` shows this node's inputs and datasets."""

    @hookspec
    def before_node_run(
        self, node: Node, catalog: Any, inputs: dict[str, Any], is_async: bool, run_id: str
    ) -> dict[str, Any] | None:
        """Listen to a node whose inputs are loaded; a mapping that is returned replaces inputs of that name.

        Where several listeners replace the same input, the one that was registered first wins.
        """

    @hookspec
    def after_node_run(
        self,
        node: Node,
        catalog: Any,
        inputs: dict[str, Any],
        outputs: dict[str, Any],
        is_async: bool,
        run_id: str,
    ) -> None:
        """Listen to a node that has run; its outputs are not saved yet."""

    @hookspec
    def on_node_error(
        self,
        error: BaseException,
        node: Node,
        catalog: Any,
        inputs: dict[str, Any],
        is_async: bool,
        run_id: str,
    ) -> None:
        """Listen to a node whose function raised; what this listener itself raises becomes a note of the node."""
