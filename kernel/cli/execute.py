"""What `kernel run` does: load the project, choose nodes, run them, tell how it went."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from kernel.cli import garbage
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

    from kernel.cli.request import Request
    from kernel.pipelines import Pipeline

__all__ = ["execute"]


def execute(request: Request, command: Sequence[str]) -> int:
    """Do what was asked and return the exit code; `command` is what the user typed, in words."""
    set_up_logging(request.log_level)
    progress: Progress | None = None
    secrets: list[str] = []
    try:
        listeners = load_listeners(request.no_plugin)
        project, pipeline = _read(request, listeners)
        secrets = secrets_of(project.credentials)
        progress = Progress(node.name for node in pipeline.nodes)
        _run(request, project, pipeline, [*listeners, *project.listeners], progress)
    except (Exception, KeyboardInterrupt) as error:  # whatever it was, the user is told once and gets a code
        from kernel.cli.failures import exit_code, tell  # noqa: PLC0415 - most runs do not fail

        flush()
        tell(error, command, full=request.full_traceback, secrets=secrets)
        return exit_code(error, running=progress is not None)
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


def _run(
    request: Request, project: Project, pipeline: Pipeline, listeners: Sequence[Listener], progress: Progress
) -> None:
    runner = _runner(request, project, [*listeners, Listener("kernel.cli", progress)])
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


def _runner(request: Request, project: Project, listeners: Sequence[Listener]) -> Runner:
    """Build the runner: what the command says outranks what the project says, and that the defaults.

    Options of the project belong to the plugin that it names; they are left out when another is asked for.
    """
    options: dict[str, Any] = {}
    limit = {} if request.memory_limit is None else {"memory_limit": request.memory_limit}
    catalog_option = {**request.catalog_option, **limit}
    for kind, asked, own, own_options, given in (
        ("executor", request.executor, project.executor, project.executor_options, request.executor_option),
        ("catalog", request.catalog, project.catalog, project.catalog_options, catalog_option),
    ):
        base: Mapping[str, Any] = own_options if asked in (None, own) else {}
        options[kind] = asked or own
        options[f"{kind}_options"] = {**base, **given}
    return Runner(
        **options,
        workers=request.workers,
        is_async=request.is_async,
        start_method=request.start_method,
        hooks=listeners,
        on_failure=request.on_failure,
        death_retries=request.death_retries,
        grace_s=request.grace,
        plugins=False,  # they are among the listeners already, and heard of the project
    )
