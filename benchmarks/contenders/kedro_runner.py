"""Kedro's `ParallelRunner`, with its catalog for shared memory; it starts its processes for each run."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial, update_wrapper

from kedro.io import SharedMemoryDataCatalog
from kedro.pipeline import node, pipeline
from kedro.runner import ParallelRunner

from benchmarks.way import Way


def make_pipeline(graph):
    nodes = []
    for position, step in enumerate(graph.steps):
        function = step.function
        if step.constants:
            function = update_wrapper(partial(function, *step.constants), function)
        inputs = [f"value_{read}" for read in step.inputs] or None
        nodes.append(node(function, inputs, f"value_{position}", name=f"node_{position}"))
    return pipeline(nodes)


def run_graph(runner, flow, graph):
    outputs = runner.run(flow, SharedMemoryDataCatalog())
    return {position: outputs[f"value_{position}"].load() for position in graph.ends}


@contextmanager
def parallel_runner(graph, workers, *, warm):
    logging.disable(logging.ERROR)
    flow = make_pipeline(graph)
    runner = ParallelRunner(max_workers=workers) if warm else None
    yield Way(lambda: run_graph(runner or ParallelRunner(max_workers=workers), flow, graph))
