"""Nodes and listeners of the tests of Dask; its workers import them."""

from __future__ import annotations

import logging
import os
import signal
import time
from pathlib import Path

import numpy as np

from kernel import hookimpl, note
from watching import wait_until


def big_and_whose(mebibytes):
    """Make an array, and say which process has it."""
    return np.full(mebibytes << 17, os.getpid(), dtype=np.int64)


def add_one(array):
    array += 1
    return array


def first_of(array, *_others):
    return int(array[0])


def whose(array):
    return int(array[0])


def wait_for_gate(folder):
    path = Path(folder)
    (path / f"waits.{os.getpid()}").touch()
    wait_until((path / "gate").exists, "the gate")
    return os.getpid()


def logs(name):
    logging.getLogger("of.a.node").warning("%s was here", name)
    note("noted", name.upper())
    return name


def at_work(folder, name):
    """Say when it began and ended."""
    begun = time.monotonic()
    wait_until(lambda: time.monotonic() > begun + 0.3, "work")
    return [begun, time.monotonic()]


class KillsTheMaker:
    """Kills the worker that made the big value, as soon as it is done; then opens the gate."""

    def __init__(self, folder):
        self.folder = folder
        self.repeated = []
        self.lost = []
        self.done = []
        self.is_killed = False

    @hookimpl
    def on_task_done(self, node, report):
        self.done.append(node.name)
        if node.name == "make" and not self.is_killed:
            self.is_killed = True
            os.kill(report.notes["pid"], signal.SIGKILL)
            (Path(self.folder) / "gate").touch()

    @hookimpl
    def on_node_repeated(self, node, attempt):
        self.repeated.append((node.name, attempt))

    @hookimpl
    def on_worker_lost(self, node, error):
        self.lost.append(str(error))


def big_with_pid(mebibytes):
    note("pid", os.getpid())
    return np.arange(mebibytes << 17)
