"""Every error that `kernel` raises: each names the node or dataset it is about and says what to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "ConfigError",
    "DataLost",
    "DatasetError",
    "HookError",
    "Interrupted",
    "KernelError",
    "NodeError",
    "PipelineError",
    "PluginError",
    "RebuildError",
    "SchedulingError",
    "ValidationError",
    "VersionNotFoundError",
    "WorkerLost",
]


class KernelError(Exception):
    """The root of all errors of `kernel`."""


class PipelineError(KernelError, ValueError):
    """A node or a pipeline that cannot be: a cycle, a name used twice, an output made by two nodes."""


class ConfigError(KernelError, ValueError):
    """A project, a setting or an option that is wrong; found before anything runs."""


class PluginError(KernelError):
    """A plugin that is missing, named twice, blocked or broken."""


class DatasetError(KernelError):
    """A dataset that cannot be loaded, saved, described or confirmed; the message starts with its name."""


class DataLost(DatasetError):  # noqa: N818 - a loss is what it is called in the field
    """Values in memory that were lost with the worker that kept them: `names` (of those it may be), `how` in words."""

    def __init__(self, names: Sequence[str], how: str) -> None:
        super().__init__(tuple(names), how)
        self.names = tuple(names)
        self.how = how

    def __str__(self) -> str:
        return (
            f"{', '.join(self.names)}: lost with the worker that kept it: {self.how}. Run again from the nodes that "
            f"make it, or keep values outside of workers: --catalog objects"
        )


class RebuildError(DatasetError):
    """A value in memory that was serialised and cannot be rebuilt: `name` of its dataset, `problem` as type and text.

    What its class said may show data, so the message has that only once `tell` was called, by the run.
    """

    def __init__(self, name: str, problem: str, maker: str | None = None) -> None:
        super().__init__(name, problem, maker)
        self.name = name
        self.problem = problem
        self.maker = maker

    def tell(self, maker: str) -> None:
        """Say all that is known of it. `maker` is the node that made it; empty: no node of the run did."""
        self.maker = maker
        self.args = (self.name, self.problem, maker)

    def __str__(self) -> str:
        made = f" that node {self.maker!r} made" if self.maker else ""
        problem = self.problem.partition(":")[0] if self.maker is None else self.problem.rstrip(".")
        return (
            f"{self.name}: the value{made} was serialised but cannot be rebuilt here: {problem}. "
            f"Check that its module can be imported by workers and that its class can be unpickled."
        )


class VersionNotFoundError(DatasetError):
    """A versioned dataset without the version that was asked for."""


class SchedulingError(KernelError, RuntimeError):
    """Nodes are left but none of them can ever start; the message lists who waits for whom."""


class ValidationError(ConfigError):
    """What makes a run impossible, found before anything ran.

    `problems` holds one line for each offender; the message lists them all.
    """

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        if len(self.problems) == 1:
            return self.problems[0]
        lines = "\n".join(f"  - {problem}" for problem in self.problems)
        return f"{len(self.problems)} problems, nothing was run:\n{lines}"


class NodeError(KernelError):
    """A node failed.

    `node` is its name, `cause` the exception it raised (None when it could not be rebuilt in this process),
    `error_type` and `error_text` that exception's type and message, `traceback` the worker's traceback as text,
    `inputs` type and shape of each input by name, `worker` who ran it (None: unknown), `resume` the node names to
    start from again (empty: all), `catalog_options` those with which another run goes on with what this one
    has kept (empty: nothing), `others` the errors of nodes that failed in the same run after this one, `skipped`
    the nodes that were skipped, each with the failed one that it had to wait for.
    """

    def __init__(
        self,
        node: str,
        error_type: str = "",
        error_text: str = "",
        traceback: str = "",
        cause: BaseException | None = None,
        worker: int | None = None,
    ) -> None:
        super().__init__(node, error_type, error_text, traceback, cause, worker)
        self.node = node
        self.error_type = error_type
        self.error_text = error_text
        self.traceback = traceback
        self.cause = cause
        self.worker = worker
        self.inputs: Mapping[str, str] = {}
        self.resume: tuple[str, ...] = ()
        self.catalog_options: Mapping[str, str] = {}
        self.others: Sequence[NodeError] = ()
        self.skipped: Mapping[str, str] = {}

    def __str__(self) -> str:
        what = f"{self.error_type}: {self.error_text}" if self.error_text else self.error_type
        return f"node {self.node!r} failed: {what}"


class WorkerLost(NodeError):  # noqa: N818 - a loss is what it is called in the field
    """A worker died while it ran a node, more often than the node's `death_retries` allow.

    `pid` is the worker's process, `how` its end in words ("SIGKILL (signal 9, out of memory?)"),
    `attempts` how often the node was started.
    """

    def __init__(self, node: str, pid: int, how: str, attempts: int, worker: int | None = None) -> None:
        super().__init__(node, "WorkerLost", how, "", None, worker)
        self.args = (node, pid, how, attempts, worker)
        self.pid = pid
        self.how = how
        self.attempts = attempts

    def __str__(self) -> str:
        if not self.node:
            return f"an idle worker was lost: process {self.pid} ended by {self.how}"
        times = "once" if self.attempts == 1 else f"{self.attempts} times"
        what = f"process {self.pid} ended by {self.how}" if self.pid else self.how  # an engine may name no process
        return (
            f"node {self.node!r} lost its worker {times}: {what}. "
            f"Raise death_retries if a repeat may help, or lower what the node needs."
        )


class HookError(KernelError):
    """A listener raised: `hook` the hook, `listener` its name, `distribution` where it comes from ('' if none)."""

    def __init__(self, hook: str, listener: str, distribution: str, problem: str) -> None:
        super().__init__(hook, listener, distribution, problem)
        self.hook = hook
        self.listener = listener
        self.distribution = distribution
        self.problem = problem

    def __str__(self) -> str:
        source = f" of distribution {self.distribution!r}" if self.distribution else ""
        remedy = f"Run without it: --no-plugin {self.listener}" if self.distribution else "Mend it, or run without it"
        return f"listener {self.listener!r}{source} failed in hook {self.hook!r}: {self.problem}. {remedy}"


class Interrupted(KeyboardInterrupt):
    """The run was stopped by a signal: `signal` is its number, `resume` and `catalog_options` as in `NodeError`.

    A KeyboardInterrupt, so that code which handles errors does not take the user's wish for one of them.
    """

    def __init__(self, signal: int, resume: Sequence[str] = ()) -> None:
        super().__init__(signal, tuple(resume))
        self.signal = signal
        self.resume = tuple(resume)
        self.catalog_options: Mapping[str, str] = {}

    def __str__(self) -> str:
        return f"interrupted by signal {self.signal}"
