"""Listeners of the kit; importable by workers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from attrs import define, field

import kernel
from kernel import hookimpl
from kernel.specs.events import Report, State

__all__ = ["Broken", "BrokenOnError", "CallsNoted", "Ends", "Repeats", "Replaces", "Reports", "WorkerTraces"]


@define(eq=False)
class Ends:
    """Keeps when each turn ended and what came of it; called in the runner's process."""

    ends: list[tuple[State, float]] = field(factory=list[tuple[State, float]])

    @hookimpl
    def on_task_done(self, report: Report) -> None:
        """Keep it."""
        self.ends.append((report.state, report.end))


@define(eq=False)
class Repeats:
    """Keeps, by node, which tries of nodes that were done already it heard of."""

    attempts: dict[str, int] = field(factory=dict[str, int])

    @hookimpl
    def on_node_repeated(self, node: kernel.Node, attempt: int) -> None:
        """Keep it."""
        self.attempts[node.name] = attempt


@define(eq=False)
class Reports:
    """Keeps what was submitted, what was done, and what was noted."""

    submitted: list[str] = field(factory=list[str])
    done: list[str] = field(factory=list[str])
    errors: dict[str, BaseException | None] = field(factory=dict[str, "BaseException | None"])
    notes: dict[str, Any] = field(factory=dict[str, Any])

    @hookimpl
    def on_task_submitted(self, node: kernel.Node) -> None:
        """Keep it."""
        self.submitted.append(node.name)

    @hookimpl
    def on_task_done(self, node: kernel.Node, report: Report, error: BaseException | None) -> None:
        """Keep it."""
        self.done.append(node.name)
        self.errors[node.name] = error
        self.notes.update(report.notes)


class CallsNoted:
    """Notes each hook of a turn that it hears, in order; `mark` shows which instance it is."""

    def __init__(self, mark: str = "by reference") -> None:
        self.mark = mark
        self.heard: list[str] = []

    def _hear(self, what: str) -> None:
        self.heard.append(what)
        kernel.note("heard", list(self.heard))
        kernel.note("mark", self.mark)

    @hookimpl
    def before_dataset_loaded(self, dataset_name: str) -> None:
        """Note it."""
        self.heard.clear()
        self._hear(f"before_dataset_loaded {dataset_name}")

    @hookimpl
    def after_dataset_loaded(self, dataset_name: str, data: Any) -> None:
        """Note it."""
        self._hear(f"after_dataset_loaded {dataset_name} {data}")

    @hookimpl
    def before_node_run(self, node: kernel.Node, inputs: dict[str, Any], run_id: str) -> None:
        """Note it."""
        self._hear(f"before_node_run {node.name} {inputs} {run_id}")

    @hookimpl
    def after_node_run(self, node: kernel.Node, outputs: dict[str, Any]) -> None:
        """Note it."""
        self._hear(f"after_node_run {node.name} {outputs}")

    @hookimpl
    def before_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Note it."""
        self._hear(f"before_dataset_saved {dataset_name} {data}")

    @hookimpl
    def after_dataset_saved(self, dataset_name: str, data: Any) -> None:
        """Note it."""
        self._hear(f"after_dataset_saved {dataset_name} {data}")

    @hookimpl
    def on_node_error(self, node: kernel.Node, error: BaseException) -> None:
        """Note it."""
        self._hear(f"on_node_error {node.name} {type(error).__name__}")


class Replaces:
    """Gives nodes another value for one of their inputs."""

    @hookimpl
    def before_node_run(self, node: kernel.Node) -> dict[str, Any] | None:
        """Replace `free` for the node `changed`."""
        return {"free": 100} if node.name == "changed" else None


class Broken:
    """Fails before each node."""

    @hookimpl
    def before_node_run(self) -> None:
        """Fail."""
        raise RuntimeError("the listener is broken")

    @hookimpl
    def on_node_error(self) -> None:
        """Say so: it must not be called for what a listener raised."""
        kernel.note("told of the error", True)


class BrokenOnError:
    """Fails when it hears of an error."""

    @hookimpl
    def on_node_error(self) -> None:
        """Fail."""
        raise RuntimeError("the listener is broken")


class WorkerTraces:
    """Leaves traces of starting and stopping workers in a folder."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    @hookimpl
    def after_worker_start(self, worker: int, run_id: str) -> None:
        """Leave a trace."""
        (Path(self.folder) / f"started {run_id} {worker}").touch()

    @hookimpl
    def before_node_run(self, run_id: str) -> None:
        """See that this worker's start was told first."""
        if not list(Path(self.folder).glob(f"started {run_id} *")):
            raise RuntimeError("a node runs on a worker whose start nobody was told of")

    @hookimpl
    def before_worker_stop(self, worker: int, run_id: str) -> None:
        """Leave a trace."""
        (Path(self.folder) / f"stopped {run_id} {worker}").touch()
