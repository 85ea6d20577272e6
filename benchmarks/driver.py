"""A contender's own process: makes its way to run a graph, then runs it each time it is told to.

Started by `benchmarks.contender_process`. Each contender has a process for itself, so that none has threads, pools or
values of another beside it.
"""

from __future__ import annotations

import gc
import importlib
import math
import sys
import traceback
from multiprocessing.connection import Connection
from time import perf_counter, process_time


def main():
    descriptor, place, mode = sys.argv[1:]
    told = Connection(int(descriptor))
    module, _, name = place.partition(":")
    try:
        graph, workers = told.recv()
        begun = perf_counter()
        with getattr(importlib.import_module(module), name)(graph, workers, warm=mode == "warm") as way:
            told.send(("ready", perf_counter() - begun, None, 0.0))
            while told.recv() == "run":
                told.send(("done", *timed(way, graph)))
        told.send(("ended", 0.0, None, 0.0))
    except Exception as error:  # whatever it is, the table says so in the contender's row
        traceback.print_exc()
        told.send(("failed", 0.0, f"{type(error).__name__}: {error}".splitlines()[0][:200], 0.0))


def timed(way, graph):
    """Return the seconds of one run until its last values are here, their sum (or they themselves), and CPU seconds."""
    gc.collect()
    begun, spent = perf_counter(), process_time()
    values = way.run()
    seconds, cpu = perf_counter() - begun, process_time() - spent
    if graph.expected is None:
        return seconds, list(values.values()), cpu
    found = sum(values.values())
    if not math.isclose(found, graph.expected, rel_tol=1e-9):
        raise AssertionError(f"a wrong result: {found} instead of {graph.expected}")
    return seconds, found, cpu


if __name__ == "__main__":
    main()
