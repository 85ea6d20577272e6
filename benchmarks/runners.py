"""kernel's own executors, each with a runner that is kept open (warm) or a new one for each run (cold)."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial

from benchmarks.way import Way
from kernel import Runner, node, pipeline


def make_pipeline(graph):
    nodes = []
    for position, step in enumerate(graph.steps):
        function = step.function
        if step.constants:
            function = partial(function, *step.constants)
        inputs = [f"value_{read}" for read in step.inputs] or None
        nodes.append(node(function, inputs, f"value_{position}", name=f"node_{position}"))
    return pipeline(nodes)


def run_graph(runner, flow, graph):
    with runner.run(flow) as result:
        return {position: result[f"value_{position}"] for position in graph.ends}


@contextmanager
def warm(executor, graph, workers):
    flow = make_pipeline(graph)
    with Runner(executor, workers=workers) as runner:
        yield Way(lambda: run_graph(runner, flow, graph))


@contextmanager
def cold(executor, graph, workers):
    flow = make_pipeline(graph)
    yield Way(lambda: run_graph(Runner(executor, workers=workers), flow, graph))
