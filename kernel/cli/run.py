"""The command `kernel run`: its options. What it does is in `execute`, imported when it is called."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from kernel.cli.options import NAMES, SETTINGS, VERSIONS

__all__ = ["command"]

Wrapped = TypeVar("Wrapped", bound=Callable[..., Any])

_LEVELS = ["debug", "info", "warning", "error", "critical"]


def _names(*declarations: str, help: str) -> Callable[[Wrapped], Wrapped]:  # noqa: A002 - click's own word
    return click.option(*declarations, type=NAMES, multiple=True, metavar="A,B", help=help)


@click.command("run")
@click.argument("path", type=click.Path(path_type=Path), default=".")
@click.option("--executor", "-x", metavar="NAME", help="What runs the nodes; `kernel plugins` lists them.")
@click.option("--catalog", metavar="NAME", help="What keeps values in memory. Default: the executor's own.")
@click.option("--workers", type=click.IntRange(min=1), help="The most nodes at a time. Default: as many as cores.")
@click.option("--async", "is_async", is_flag=True, help="Load and save each node's datasets in threads.")
@click.option(
    "--start-method",
    type=click.Choice(["fork", "spawn", "forkserver"]),
    help="How worker processes are started.",
)
@_names("--pipeline", "-p", help="Run these pipelines instead of the default one.")
@_names("--nodes", "-n", help="Only these nodes.")
@_names("--tags", "-t", help="Only nodes with any of these tags.")
@_names("--namespaces", help="Only nodes in any of these namespaces.")
@_names("--from-nodes", help="Only these nodes and all that depend on them.")
@_names("--to-nodes", help="Only these nodes and all that they depend on.")
@_names("--from-inputs", help="Only nodes that depend on these datasets.")
@_names("--to-outputs", help="Only nodes that these datasets depend on.")
@click.option("--only-missing-outputs", is_flag=True, help="Skip nodes whose saved outputs are all there.")
@click.option("--params", type=SETTINGS, multiple=True, help="Parameters of this run; dots nest.")
@click.option("--env", "-e", metavar="NAME", help="The environment: a folder of configuration laid over the base.")
@click.option("--load-version", type=VERSIONS, multiple=True, help="The version of a dataset to load.")
@_names("--no-plugin", help="Run without these listeners of plugins.")
@click.option(
    "--on-failure",
    type=click.Choice(["stop", "drain", "continue"]),
    default="stop",
    show_default=True,
    help="After a node failed: stop, finish what was started, or go on with all that does not need it.",
)
@click.option(
    "--death-retries",
    type=click.IntRange(min=0),
    default=1,
    show_default=True,
    help="How often a node runs again whose worker died.",
)
@click.option(
    "--grace",
    type=click.FloatRange(min=0),
    default=3.0,
    show_default=True,
    metavar="SECONDS",
    help="How long running nodes may go on after Ctrl-C; a second one ends them at once.",
)
@click.option("--executor-option", type=SETTINGS, multiple=True, help="An option of the executor.")
@click.option(
    "--memory-limit", metavar="SIZE", help="How much memory values may take before they go to files: 4GB, 25%."
)
@click.option("--catalog-option", type=SETTINGS, multiple=True, help="An option of the catalog.")
@click.option("--log-level", type=click.Choice(_LEVELS), default="warning", show_default=True, help="What is logged.")
@click.option("--full-traceback", is_flag=True, help="Show errors with every frame.")
@click.pass_context
def command(context: click.Context, /, **options: Any) -> int:
    """Run the pipeline of the project at PATH.

    PATH is a project's folder (default: this one), or a Python file that defines `pipeline`. Options that
    choose nodes may be given several times and take lists; a node must fit all kinds that are given.
    """
    from kernel.cli.execute import execute  # noqa: PLC0415 - `kernel --help` must not import the runner
    from kernel.cli.request import Request  # noqa: PLC0415 - as above

    root = context.find_root()
    return execute(Request.of(options), [*str(root.info_name).split(), *root.obj])
