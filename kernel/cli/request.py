"""What the user asked `kernel run` to do, with its options brought into shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from kernel.cli.options import joined, merged_settings

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from kernel.project import Project
    from kernel.rules import OnFailure

__all__ = ["Request"]

#: The options that choose nodes, and what `Pipeline.filter` calls them.
_FILTERS = {
    "nodes": "node_names",
    "tags": "tags",
    "namespaces": "node_namespaces",
    "from_nodes": "from_nodes",
    "to_nodes": "to_nodes",
    "from_inputs": "from_inputs",
    "to_outputs": "to_outputs",
}
#: The same as listeners to a run know them, in the order in which they are told.
_TOLD = {
    "tags": "tags",
    "from_nodes": "from_nodes",
    "to_nodes": "to_nodes",
    "node_names": "node_names",
    "from_inputs": "from_inputs",
    "to_outputs": "to_outputs",
    "node_namespaces": "namespaces",
}


@frozen(eq=False, repr=False)
class Request:
    """One call of `kernel run`."""

    path: Path
    executor: str | None
    catalog: str | None
    workers: int | None
    is_async: bool
    start_method: str | None
    pipeline: Sequence[str]
    #: The arguments of `Pipeline.filter` that were given.
    filters: Mapping[str, Sequence[str]]
    only_missing_outputs: bool
    params: Mapping[str, Any] = field(repr=False)
    env: str | None
    load_version: Mapping[str, str]
    no_plugin: Sequence[str]
    on_failure: OnFailure
    death_retries: int
    grace: float
    memory_limit: str | None
    executor_option: Mapping[str, Any] = field(repr=False)
    catalog_option: Mapping[str, Any] = field(repr=False)
    log_level: str
    full_traceback: bool

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Request:
        """Make one of the values of the command's options."""
        rest = {name: value for name, value in options.items() if name not in _FILTERS}
        for name in ("pipeline", "no_plugin"):
            rest[name] = joined(rest[name])
        for name in ("params", "load_version", "executor_option", "catalog_option"):
            rest[name] = merged_settings(rest[name], nested=name == "params")
        filters = {to: joined(options[name]) for name, to in _FILTERS.items() if options[name]}
        return cls(**rest, filters=filters)

    def run_params(self, run_id: str, executor: str, project: Project) -> dict[str, Any]:
        """Return what listeners to a run are told about it."""
        return {
            "run_id": run_id,
            "project_path": str(project.path),
            "env": project.env,
            **{told: list(self.filters.get(name, ())) for name, told in _TOLD.items()},
            "load_versions": dict(self.load_version),
            "runtime_params": dict(self.params),
            "pipeline_names": list(self.pipeline),
            "runner": executor,
            "only_missing_outputs": self.only_missing_outputs,
        }
