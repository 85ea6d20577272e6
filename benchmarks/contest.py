"""Runs one graph with every contender in turn, several times over, so that noise meets all of them alike."""

from __future__ import annotations

import gc
import math
from contextlib import ExitStack
from functools import partial
from time import perf_counter

from benchmarks import joblib_levels, loop, runners

CONTENDERS = {
    "loop, warm": loop.warm,
    "loop, cold": loop.cold,
    "joblib, warm": joblib_levels.warm,
    "joblib, cold": joblib_levels.cold,
    "sequential": partial(runners.warm, "sequential"),
    "threads": partial(runners.warm, "threads"),
    "process_pool, warm": partial(runners.warm, "process_pool"),
    "process_pool, cold": partial(runners.cold, "process_pool"),
}


def measure(graph, workers, names):
    """Return the seconds of each repetition by contender, until the caller has the values that nobody reads."""
    seconds = {name: [] for name in names}
    with ExitStack() as open_ones:
        ways = {name: open_ones.enter_context(CONTENDERS[name](graph, workers)) for name in names}
        for way in ways.values():
            way.prepare()
            check(graph, way.run())
        for _ in range(graph.repetitions):
            for name, way in ways.items():
                way.prepare()
                gc.collect()
                start = perf_counter()
                values = way.run()
                seconds[name].append(perf_counter() - start)
                check(graph, values)
    return seconds


def check(graph, values):
    found = sum(values.values())
    if not math.isclose(found, graph.expected):
        raise AssertionError(f"{graph.title}: {found} instead of {graph.expected}")
