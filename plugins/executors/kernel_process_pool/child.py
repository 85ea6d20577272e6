"""What a worker process does first, however it was made, and last."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import NoReturn

from kernel_process_pool.lifeline import die_with_parent
from kernel_process_pool.serve import Server
from kernel_process_pool.slots import Slots

__all__ = ["main"]


def main(number: int, stream: int, slots: int, parent: int) -> NoReturn:
    """Serve the runner on `stream` until it says so or is gone; never returns, and runs no exit handlers of others."""
    code = 1
    try:
        os.setpgid(0, 0)  # what nodes start belongs to this group and is ended with it
        die_with_parent(parent)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _seed_anew()
        with socket.socket(fileno=stream) as connection:
            Server(number, connection, Slots.attach(slots)[number]).serve()
        code = 0
    except BaseException:  # whatever went wrong here has no node to be told to: it goes to the log and the exit code
        import traceback  # noqa: PLC0415 - seldom needed

        traceback.print_exc()
    finally:
        _flush_and_exit(code)
    raise AssertionError


def _seed_anew() -> None:
    """Give NumPy's global generator a seed of its own; a fork copies it, so siblings would draw the same numbers.

    Python's `random` does so by itself.
    """
    generator = sys.modules.get("numpy.random")
    if generator is not None:
        generator.seed()


def _flush_and_exit(code: int) -> NoReturn:
    """End without running exit handlers: a forked worker has inherited the runner's."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # a node closed it, or its reader is gone
    os._exit(code)
