"""joblib, which knows no graphs: the steps of one level after those of another, each level one call."""

from __future__ import annotations

from contextlib import contextmanager

from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from benchmarks.way import Way


def levels(graph):
    depth = []
    for step in graph.steps:
        depth.append(1 + max((depth[read] for read in step.inputs), default=-1))
    found = [[] for _ in range(max(depth) + 1)]
    for position, level in enumerate(depth):
        found[level].append(position)
    return found


def run_graph(parallel, graph, plan):
    values = {}
    dropped = graph.last_readers() if graph.large else ()
    for level in plan:
        steps = [graph.steps[position] for position in level]
        calls = [delayed(step.function)(*step.constants, *(values[read] for read in step.inputs)) for step in steps]
        values.update(zip(level, parallel(calls), strict=True))
        del calls
        for position in level if dropped else ():
            for read in dropped[position]:
                del values[read]
    return {position: values[position] for position in graph.ends}


@contextmanager
def levels_in_turn(graph, workers, *, warm):
    plan = levels(graph)

    def run():
        with Parallel(n_jobs=workers) as parallel:
            values = run_graph(parallel, graph, plan)
        if not warm:
            get_reusable_executor().shutdown(wait=True)
        return values

    yield Way(run)
    get_reusable_executor().shutdown(wait=True)
