"""Nodes of tests of the catalog `objects`: a folder counts how often they ran, and says which are to fail."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

LARGE = 300_000


def ran(folder):
    """Count how often each node ran."""
    found = [path.name.partition(".")[0] for path in Path(folder).glob("*.ran")]
    return {name: found.count(name) for name in sorted(set(found))}


def tell(folder, name):
    (Path(folder) / f"{name}.{os.getpid()}.{time.monotonic_ns()}.ran").touch()


def wait_for(path):
    end = time.monotonic() + 60
    while not Path(path).exists():
        if time.monotonic() > end:
            raise TimeoutError(path)
        time.sleep(0.005)


def load(folder):
    tell(folder, "load")
    return np.arange(LARGE, dtype=float)


def double(folder, array):
    tell(folder, "double")
    array *= 2
    return array


def count(folder, array):
    tell(folder, "count")
    return len(array)


def report(folder, doubled, number):
    tell(folder, "report")
    if (Path(folder) / "fails").exists():
        raise ValueError("as the test wants it")
    return float(doubled[number - 1])


def wait(folder, doubled, number):
    tell(folder, "report")
    if (Path(folder) / "hangs").exists():
        (Path(folder) / "waits").touch()
        wait_for(Path(folder) / "go")
    return float(doubled[number - 1])


def kill_runner(folder, doubled, number, runner):
    tell(folder, "report")
    if (Path(folder) / "kills").exists():
        os.kill(runner, signal.SIGKILL)
    return float(doubled[number - 1])


def zeros(size):
    return np.zeros(size)


def same_sum(*arrays):
    return [float(array.sum()) for array in arrays]


def listing(folder, *arrays):
    """Return the names of what lies in a folder below the one given."""
    return sorted(path.name for path in Path(folder).glob("run-*/*"))
