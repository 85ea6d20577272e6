"""Microseconds a large value for keeping it in shared memory, and for giving its memory back, as more of them live.

What matters: the figures do not grow with the number. Of the values that are alive at once every other one is released,
one at a time and in no order, while their owner takes nothing back; then as many are saved anew, which go there.
Results that are kept from one run each are closed in the same way. All is done in one process.
"""

from __future__ import annotations

import gc
import random
from contextlib import closing
from time import perf_counter

from benchmarks.figures import figures

#: Just above what travels inside its handle, in bytes.
SIZE = 66_000
STEPS = ("saved", "adopted", "released", "saved anew", "dropped at the end", "run of a result that is kept", "closed")


def one_round(count):
    """Return microseconds a value for each step."""
    return [*values_alive(count), *results_kept(count)]


def values_alive(count):
    from kernel.specs.executor import Reach
    from kernel_shared_memory import SharedMemoryCatalog

    names = [str(at) for at in range(count)]
    gone = names[::2]
    random.Random(1).shuffle(gone)
    with closing(SharedMemoryCatalog()) as catalog:
        store = catalog.open({}, Reach.PROCESS, 1)
        value = bytes(SIZE)
        gc.collect()
        times = [perf_counter()]
        handles = [store.save(name, value) for name in names]
        times.append(perf_counter())
        for name, handle in zip(names, handles, strict=True):
            catalog.adopt([name], [handle])
        times.append(perf_counter())
        for name in gone:
            catalog.release([name])
        times.append(perf_counter())
        for name in gone:
            catalog.adopt([name], [store.save(name, value)])
        times.append(perf_counter())
        catalog.settle([])
        times.append(perf_counter())
    shares = (count, count, len(gone), len(gone), count)
    return [(end - start) / share * 1e6 for start, end, share in zip(times, times[1:], shares, strict=False)]


def results_kept(count):
    from kernel.specs.executor import Reach
    from kernel_shared_memory import SharedMemoryCatalog

    results = []
    value = bytes(SIZE)
    catalog = SharedMemoryCatalog()
    gc.collect()
    begun = perf_counter()
    for _ in range(count):
        following = catalog.successor()
        store = catalog.open({}, Reach.PROCESS, 1)
        catalog.adopt(["kept"], [store.save("kept", value)])
        catalog.settle(["kept"])
        results.append(catalog)
        catalog = following
    kept = perf_counter()
    random.Random(1).shuffle(results)
    for result in results:
        result.close()
    closed = perf_counter()
    catalog.close()
    return [(kept - begun) / count * 1e6, (closed - kept) / count * 1e6]


def measure(settings):
    sizes = (300, 1_000) if settings.quick else (1_000, 4_000, 40_000)
    columns = [f"{size:,} values" for size in sizes]
    cells = {step: {} for step in STEPS}
    for size, column in zip(sizes, columns, strict=True):
        rounds = [one_round(size) for _ in range(2 if settings.quick else 3)]
        for step, spent in zip(STEPS, zip(*rounds, strict=True), strict=True):
            cells[step][column] = list(spent)
    rows = [{"name": step, "cells": found, "note": ""} for step, found in cells.items()]
    return figures("shared memory: large values alive at once, each", rows, columns=columns, unit="us")
