"""What the nodes of the tests on Ray do."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

import kernel


def leave(folder, name):
    with (Path(folder) / name).open("a") as file:
        file.write(f"{os.getpid()}\n")


def make_large(folder, value):
    """Return what is far too large for a report."""
    leave(folder, "made")
    return bytes([value]) * 2_000_000


HUGE = 60_000_000


def make_huge(*_before):
    return bytes(HUGE)


def size(value, *_before):
    return len(value)


def joined(*values):
    return b"".join(values)


def wait_for_gate(folder):
    leave(folder, "waiting")
    until = time.monotonic() + 60
    while not (Path(folder) / "gate").exists():
        if time.monotonic() > until:
            raise TimeoutError("nobody opened the gate")
        time.sleep(0.01)
    return 1


def die(folder):
    leave(folder, "died")
    os.kill(os.getpid(), signal.SIGKILL)


def which_machine(*_values):
    import ray

    return ray.get_runtime_context().get_node_id()


def add_one(value):
    return value + 1


def say(value):
    logging.getLogger("flights").warning("the value is %d", value)
    kernel.note("value", value)
    return value
