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
    for level in plan:
        steps = [graph.steps[position] for position in level]
        calls = [delayed(step.function)(*(values[read] for read in step.inputs), *step.constants) for step in steps]
        values.update(zip(level, parallel(calls), strict=True))
    return {position: values[position] for position in graph.ends}


@contextmanager
def warm(graph, workers):
    plan = levels(graph)
    parallel = Parallel(n_jobs=workers)

    def run():
        with parallel:
            return run_graph(parallel, graph, plan)

    # joblib has one set of workers in a process: the cold contender has ended them.
    yield Way(run, prepare=lambda: parallel(delayed(int)() for _ in range(workers)))
    end_workers()


@contextmanager
def cold(graph, workers):
    plan = levels(graph)

    def run():
        with Parallel(n_jobs=workers) as parallel:
            values = run_graph(parallel, graph, plan)
        end_workers()
        return values

    yield Way(run, prepare=end_workers)


def end_workers():
    get_reusable_executor().shutdown(wait=True)
