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
from time import perf_counter


def main():
    descriptor, place, mode = sys.argv[1:]
    told = Connection(int(descriptor))
    module, _, name = place.partition(":")
    try:
        graph, workers = told.recv()
        begun = perf_counter()
        with getattr(importlib.import_module(module), name)(graph, workers, warm=mode == "warm") as way:
            told.send(("ready", perf_counter() - begun, None))
            while told.recv() == "run":
                told.send(("done", *timed(way, graph)))
        told.send(("ended", 0.0, None))
    except Exception as error:  # whatever it is, the table says so in the contender's row
        traceback.print_exc()
        told.send(("failed", 0.0, f"{type(error).__name__}: {error}".splitlines()[0][:200]))


def timed(way, graph):
    """Return the seconds of one run until the values that nobody reads are here, and their sum, or the values."""
    gc.collect()
    begun = perf_counter()
    values = way.run()
    seconds = perf_counter() - begun
    if graph.expected is None:
        return seconds, list(values.values())
    found = sum(values.values())
    if not math.isclose(found, graph.expected, rel_tol=1e-9):
        raise AssertionError(f"a wrong result: {found} instead of {graph.expected}")
    return seconds, found


if __name__ == "__main__":
    main()
