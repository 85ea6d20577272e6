"""A loop by hand around `ProcessPoolExecutor`: what one would write without a library. Values go through the pool."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager

from benchmarks.way import Way


def run_graph(pool, graph):
    """Run every step as soon as its inputs are there; return the values that nobody reads, by position."""
    readers = {}
    missing = []
    for position, step in enumerate(graph.steps):
        missing.append(len(step.inputs))
        for read in step.inputs:
            readers.setdefault(read, []).append(position)
    values, running = {}, {}

    def submit(position):
        step = graph.steps[position]
        arguments = [*(values[read] for read in step.inputs), *step.constants]
        running[pool.submit(step.function, *arguments)] = position

    for position, count in enumerate(missing):
        if not count:
            submit(position)
    while running:
        done, _ = wait(running, return_when=FIRST_COMPLETED)
        for future in done:
            position = running.pop(future)
            values[position] = future.result()
            for reader in readers.get(position, ()):
                missing[reader] -= 1
                if not missing[reader]:
                    submit(reader)
    return {position: values[position] for position in graph.ends}


@contextmanager
def warm(graph, workers):
    with ProcessPoolExecutor(workers) as pool:
        yield Way(lambda: run_graph(pool, graph))


@contextmanager
def cold(graph, workers):
    def run():
        with ProcessPoolExecutor(workers) as pool:
            return run_graph(pool, graph)

    yield Way(run)
