"""Plain calls in one process, one after another, their values in a dict: what nothing that runs nodes can be under."""

from __future__ import annotations

from contextlib import contextmanager

from benchmarks.way import Way


@contextmanager
def calls(graph, workers, *, warm):
    plan = [(step.function, step.constants, step.inputs) for step in graph.steps]
    if graph.large:
        plan = list(zip(plan, graph.last_readers(), strict=True))
        yield Way(lambda: _call_and_drop(plan, graph.ends))
    else:
        yield Way(lambda: _call(plan, graph.ends))


def _call(plan, ends):
    values = {}
    for position, (function, constants, inputs) in enumerate(plan):
        values[position] = function(*constants, *[values[read] for read in inputs])
    return {position: values[position] for position in ends}


def _call_and_drop(plan, ends):
    values = {}
    for position, ((function, constants, inputs), dropped) in enumerate(plan):
        values[position] = function(*constants, *[values[read] for read in inputs])
        for read in dropped:
            del values[read]
    return {position: values[position] for position in ends}
