"""The command `kernel plugins`: its options. What it does is in `listing`, imported when it is called."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("plugins")
@click.argument("name", required=False)
@click.option("--check", is_flag=True, help="Exit with 1 if any plugin is broken.")
def command(name: str | None, check: bool) -> int:
    """Import and list the installed plugins, or explain those called NAME."""
    from kernel.cli.listing import show  # noqa: PLC0415 - `kernel --help` must not look for plugins

    return show(name, check=check)
