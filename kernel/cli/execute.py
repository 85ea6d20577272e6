"""What `kernel run` does: load the project, choose nodes, run them, tell how it went."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from kernel.cli import garbage
from kernel.cli.ahead import executor_options, start_ahead
from kernel.cli.logs import set_up_logging
from kernel.cli.output import flush
from kernel.cli.progress import Progress
from kernel.cli.secrecy import secrets_of
from kernel.cli.selection import chosen
from kernel.cli.summary import summarise, tell_outputs
from kernel.complaints import Complaints
from kernel.hooks import Hooks, Listener
from kernel.plugins import load_listeners
from kernel.plugins.installed import choose
from kernel.project import Project, load
from kernel.runner import Runner

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from kernel.cli.ahead import Ahead
    from kernel.cli.request import Request
    from kernel.pipelines import Pipeline

__all__ = ["execute"]


def execute(request: Request, command: Sequence[str]) -> int:
    """Do what was asked and return the exit code; `command` is what the user typed, in words."""
    set_up_logging(request.log_level)
    progress: Progress | None = None
    ahead: Ahead | None = None
    secrets: list[str] = []
    try:
        listeners = load_listeners(request.no_plugin)
        ahead = start_ahead(request, Hooks(listeners))
        project, pipeline = _read(request, listeners)
        secrets = secrets_of(project.credentials)
        progress = Progress(node.name for node in pipeline.nodes)
        runner = _runner(request, project, [*listeners, *project.listeners, Listener("kernel.cli", progress)], ahead)
        _run(request, project, pipeline, runner, progress)
    except (Exception, KeyboardInterrupt) as error:  # whatever it was, the user is told once and gets a code
        from kernel.cli.failures import exit_code, tell  # noqa: PLC0415 - most runs do not fail

        flush()
        tell(error, command, full=request.full_traceback, secrets=secrets)
        return exit_code(error, running=progress is not None)
    finally:
        if ahead is not None:
            ahead.end()
    return 0


def _read(request: Request, listeners: Sequence[Listener]) -> tuple[Project, Pipeline]:
    """Load the project and choose what runs; where that fails, say as well which plugins cannot be had."""
    complaints = Complaints()
    with complaints.collected():
        project = load(
            request.path,
            hooks=Hooks(listeners),
            env=request.env,
            params=request.params,
            load_versions=request.load_version,
        )
        return project, chosen(project, request.pipeline, request.filters)
    for kind, name in (("executor", request.executor), ("catalog", request.catalog)):
        if name:
            with complaints.collected():
                choose(kind, name)
    complaints.raise_any()
    raise AssertionError


def _run(request: Request, project: Project, pipeline: Pipeline, runner: Runner, progress: Progress) -> None:
    run_id = project.datasets.save_version
    garbage.resume()
    begun = monotonic()
    try:
        result = runner.run(
            pipeline,
            project.datasets,
            only_missing_outputs=request.only_missing_outputs,
            run_params=request.run_params(run_id, runner.executor_name, project),
            run_id=run_id,
        )
    except BaseException:
        if progress.started:
            summarise(progress, monotonic() - begun, len(progress.workers))
        raise
    summarise(progress, monotonic() - begun, result.report.workers)
    with result:
        tell_outputs(result, secrets_of(project.credentials))


def _runner(request: Request, project: Project, listeners: Sequence[Listener], ahead: Ahead | None) -> Runner:
    """Build the runner: what the command says outranks what the project says, and that the defaults.

    Options of the project belong to the plugin that it names; they are left out when another is asked for.
    """
    limit = {} if request.memory_limit is None else {"memory_limit": request.memory_limit}
    executor, catalog = request.executor or project.executor, request.catalog or project.catalog
    options = executor_options(request, project.executor_options if executor == project.executor else {})
    own: Mapping[str, Any] = project.catalog_options if catalog == project.catalog else {}
    runner = Runner(
        executor,
        catalog,
        executor_options=options,
        catalog_options={**own, **request.catalog_option, **limit},
        workers=request.workers,
        is_async=request.is_async,
        hooks=listeners,
        on_failure=request.on_failure,
        death_retries=request.death_retries,
        grace_s=request.grace,
        plugins=False,  # they are among the listeners already, and heard of the project
    )
    if ahead is not None and ahead.is_of(executor, options):
        runner.use(ahead.executor)
    elif ahead is not None:
        ahead.end()
    return runner
