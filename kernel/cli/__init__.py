"""The command line: `kernel run` and `kernel plugins`, each imported when it is called or described."""

from __future__ import annotations

import importlib
import io
import sys
from typing import TYPE_CHECKING

import click

from kernel.cli.output import flush

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

#: Exit codes that belong to no single command.
USAGE, INTERRUPTED = 2, 130


class _Commands(click.Group):
    """The commands by name; a command is the attribute `command` of a module of that name in this package."""

    names = ("plugins", "run")

    def list_commands(self, ctx: click.Context) -> list[str]:
        del ctx
        return list(self.names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        del ctx
        if cmd_name not in self.names:
            return None
        command: click.Command = importlib.import_module(f"kernel.cli.{cmd_name}").command
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="kernel-pipelines", prog_name="kernel", message="%(prog)s %(version)s")
def kernel() -> None:
    """Run data pipelines in parallel."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (`sys.argv` when none is given) and return its exit code."""
    for stream in (sys.stdout, sys.stderr):
        # A name that the terminal's encoding lacks is shown escaped instead of ending the run.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        words = list(sys.argv[1:] if arguments is None else arguments)
        # The words are handed on as `obj`: a run is resumed by the same command with one more option.
        code: object = kernel.main(words, standalone_mode=False, obj=words)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    flush()
    return code if isinstance(code, int) else 0
