"""The commands of the command line, each imported when it is called or described."""

from __future__ import annotations

import importlib

import click

__all__ = ["kernel"]


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
