"""Writes to stdout, and goes on in silence when nobody can read it any more."""

from __future__ import annotations

import os
import sys

__all__ = ["flush", "say"]


def say(line: str) -> None:
    """Write a line at once; a reader that went away (`kernel run | head`) does not end the run."""
    try:
        print(line, flush=True)
    except OSError:
        _mute()


def flush() -> None:
    """Write out what others left in the buffer."""
    try:
        sys.stdout.flush()
    except OSError:
        _mute()


def _mute() -> None:
    """Send what is buffered, and what is still to come, nowhere; else Python complains of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
