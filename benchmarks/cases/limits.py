"""The limits of the machine: what two processes and a memory cannot be quicker than."""

from __future__ import annotations

import mmap
import os
import socket
import sys
from statistics import median
from time import perf_counter

import numpy as np

from benchmarks.calibration import rounds_for
from benchmarks.figures import figures, row
from benchmarks.functions import spin
from benchmarks.trees import cpu_seconds


def measure(settings):
    repetitions = 3 if settings.quick else 9
    trips, megabytes, work = (2_000, 32, 0.05) if settings.quick else (20_000, 256, 1.0)
    copies = [copy_rates(megabytes) for _ in range(repetitions)]
    rounds = rounds_for(work, spin)
    spins = [(spin_at_once(1, rounds), spin_at_once(2, rounds)) for _ in range(repetitions)]
    rows = [
        _row("round trip through two pipes", [pipes(trips) for _ in range(repetitions)]),
        _row("round trip through a socket pair", [sockets(trips) for _ in range(repetitions)]),
        _row("copy into fresh shared memory", [each["fresh"] for each in copies], "GB/s"),
        _row("copy into warm shared memory", [each["warm"] for each in copies], "GB/s"),
        _row("first read of shared memory by another mapping", [each["mapped"] for each in copies], "GB/s"),
        _row("`python -c pass`, CPU", [cpu_seconds([sys.executable, "-c", "pass"]) for _ in range(repetitions)]),
        _row(f"{work} s of CPU work in one process", [one for one, _ in spins]),
        _row(f"{work} s of CPU work in each of two processes", [two for _, two in spins]),
    ]
    return figures("limits of the machine", rows, columns=("median", "least", "most"))


def _row(name, values, unit=None):
    return row(name, unit, median=values, least=[min(values)], most=[max(values)])


def pipes(trips):
    """Return the seconds of one byte there and back, between two processes that sleep until it comes."""
    there, here = os.pipe(), os.pipe()
    return _round_trips(
        trips,
        ask=lambda: (os.write(there[1], b"x"), os.read(here[0], 1)),
        answer=lambda: os.write(here[1], os.read(there[0], 1)),
        close=lambda: [os.close(end) for end in (*there, *here)],
    )


def sockets(trips):
    ours, theirs = socket.socketpair()
    return _round_trips(
        trips,
        ask=lambda: (ours.send(b"x"), ours.recv(1)),
        answer=lambda: theirs.send(theirs.recv(1)),
        close=lambda: (ours.close(), theirs.close()),
    )


def _round_trips(trips, ask, answer, close):
    pid = os.fork()
    if not pid:
        try:
            for _ in range(trips):
                answer()
        finally:
            os._exit(0)
    begun = perf_counter()
    for _ in range(trips):
        ask()
    seconds = perf_counter() - begun
    os.waitpid(pid, 0)
    close()
    return seconds / trips


def copy_rates(megabytes):
    """Return gigabytes a second into shared memory whose pages are new, or in use; and out of it for a new mapping."""
    source = np.ones(megabytes * 2**20 // 8)
    memory = os.memfd_create("limits")
    try:
        os.ftruncate(memory, source.nbytes)
        target = np.frombuffer(mmap.mmap(memory, source.nbytes), dtype=source.dtype)
        seconds = {"fresh": _seconds(lambda: np.copyto(target, source))}
        seconds["warm"] = median(_seconds(lambda: np.copyto(target, source)) for _ in range(3))
        mapped = np.frombuffer(mmap.mmap(memory, source.nbytes), dtype=source.dtype)
        seconds["mapped"] = _seconds(mapped.sum)
    finally:
        os.close(memory)
    return {name: source.nbytes / 1e9 / spent for name, spent in seconds.items()}


def _seconds(work):
    begun = perf_counter()
    work()
    return perf_counter() - begun


def spin_at_once(count, rounds):
    """Return the seconds until as many processes have each done the work."""
    begun = perf_counter()
    children = []
    for _ in range(count):
        pid = os.fork()
        if not pid:
            try:
                spin(rounds)
            finally:
                os._exit(0)
        children.append(pid)
    for pid in children:
        os.waitpid(pid, 0)
    return perf_counter() - begun
