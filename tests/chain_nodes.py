"""Node functions of chains, and of workers that have something to give away."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import numpy as np

import kernel
from pool_faults import first
from watching import wait_until

#: What a node keeps for itself, beside what it hands on.
KEPT = []


def numbers(size: int) -> np.ndarray:
    return np.arange(size, dtype=np.float64)


def numbers_kept(size: int) -> np.ndarray:
    KEPT.append(np.arange(size, dtype=np.float64))
    return KEPT[-1]


def doubled(values: np.ndarray) -> np.ndarray:
    kernel.note("address", values.ctypes.data)
    values *= 2
    kernel.note("pid", os.getpid())
    return values


def total(values: np.ndarray) -> float:
    kernel.note("address", values.ctypes.data)
    return float(values.sum())


def total_of_kept(values: np.ndarray) -> float:
    values[:] = -1
    return float(KEPT[-1].sum())


def counted(folder: str, values: np.ndarray) -> np.ndarray:
    (Path(folder) / f"ran-{time.monotonic_ns()}").touch()
    return values + 1


def dies_once(folder: str, values: np.ndarray) -> np.ndarray:
    if first(folder, "died"):
        os.kill(os.getpid(), signal.SIGKILL)
    return values


def dies(values: np.ndarray) -> np.ndarray:
    os.kill(os.getpid(), signal.SIGKILL)
    return values


def fails(values: object) -> float:
    raise ValueError(str(values)[:0] or "no")


def slow_numbers(folder: str) -> np.ndarray:
    (Path(folder) / "started").touch()
    wait_until((Path(folder) / "gate").exists, "the gate")
    return np.ones(100_000)


def tiny(value: int) -> int:
    return value + 1


def tiny_but_one(value: int) -> int:
    """Return at once; but one of all takes long, with the interpreter's lock held: its worker cannot answer."""
    if value == POISON:
        until = time.process_time() + 0.4
        while time.process_time() < until:
            sum(range(1000))
    return value + 1


#: After so many the function is known to be tiny, and many are sent ahead.
POISON = 300
