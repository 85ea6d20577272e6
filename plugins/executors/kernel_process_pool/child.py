"""What a worker process does first, however it was made, and last."""

from __future__ import annotations

import os
import signal
import socket
import sys
from typing import NoReturn

from kernel_process_pool.lifeline import adopt_orphans, die_with_parent, leave
from kernel_process_pool.serve import Server
from kernel_process_pool.slots import Slots
from kernel_process_pool.stacks import answer

__all__ = ["main"]


def main(number: int, stream: int, slots: int, stacks: int, parent: int) -> NoReturn:
    """Serve the runner on `stream` until it says so or is gone; never returns, and runs no exit handlers of others."""
    code = 1
    try:
        os.setpgid(0, 0)  # what nodes start belongs to this group and is ended with it
        die_with_parent(parent)
        adopt_orphans()  # what leaves the group and loses its parent stays ours, and is ended with us all the same
        _take_signals_as_at_start()
        answer(stacks)
        _seed_anew()
        connection = socket.socket(fileno=stream)  # open to the end: the runner kills a worker whose stream has ended
        Server(number, connection, Slots.attach(slots)[number]).serve()
        code = 0
    except BaseException:  # whatever went wrong here has no node to be told to: it goes to the log and the exit code
        import traceback  # noqa: PLC0415 - seldom needed

        traceback.print_exc()
    finally:
        leave(code)
    raise AssertionError


def _take_signals_as_at_start() -> None:
    """Undo what was inherited: the ways of the process that made this one, or of a caller with an event loop."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])


def _seed_anew() -> None:
    """Give the global generators of NumPy and PyTorch seeds of their own.

    A fork copies them, so siblings would draw the same numbers. Python's `random` seeds itself anew.
    """
    for name in ("numpy.random", "torch"):
        seed = getattr(sys.modules.get(name), "seed", None)
        if seed is not None:
            seed()
