"""The command line: `kernel run` and `kernel plugins`."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING

from kernel.cli import garbage
from kernel.cli.output import flush

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

#: Exit codes that belong to no single command.
USAGE, INTERRUPTED = 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (`sys.argv` when none is given) and return its exit code."""
    if arguments is None:  # the process is the command's own
        garbage.pause()
    import click  # noqa: PLC0415 - collections of garbage are paused for what is imported from here on

    from kernel.cli.commands import kernel  # noqa: PLC0415 - as above

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
    finally:
        garbage.resume()
    flush()
    return code if isinstance(code, int) else 0
