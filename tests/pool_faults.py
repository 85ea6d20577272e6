"""Node functions that do to their worker what should not be done to one."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import kernel
from watching import wait_until


def first(folder: str, name: str) -> bool:
    """Say whether this is the first call for this name."""
    try:
        (Path(folder) / name).mkdir()
    except FileExistsError:
        return False
    return True


def leave_a_line(folder: str, name: str) -> str:
    with (Path(folder) / "lines").open("a") as file:
        file.write(f"{name}\n")
    if name.startswith("x"):
        os.kill(os.getpid(), signal.SIGKILL)
    return name


class Deadly:
    def __reduce__(self):
        os.kill(os.getpid(), signal.SIGKILL)


def die_while_reporting(folder: str) -> int:
    (Path(folder) / f"start-{time.monotonic_ns()}").touch()
    kernel.note("deadly", Deadly())
    return 1


def outlive_its_limit(_: object) -> int:
    """Wait to be told that the time is over, and return all the same."""
    told = []
    signal.signal(signal.SIGTERM, lambda *_: told.append(1))
    wait_until(lambda: told, "the end of the time")
    return 1


def die_once(which: str, folder: str, _: object) -> str:
    if which.startswith("x") and first(folder, which):
        os.kill(os.getpid(), signal.SIGKILL)
    return which


def process(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def one_more(number: int) -> int:
    return number + 1
