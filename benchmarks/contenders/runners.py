"""This project's executors, each with a runner that is kept open (warm) or a new one for each run (cold)."""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache, partial

from benchmarks.way import Way
from kernel import Datasets, MemoryDataset, Runner, node, pipeline


def make_nodes(graph):
    nodes = []
    for position, step in enumerate(graph.steps):
        function = step.function
        if step.constants:
            function = partial(function, *step.constants)
        inputs = [f"value_{read}" for read in step.inputs] or None
        nodes.append(node(function, inputs, f"value_{position}", name=f"node_{position}"))
    return nodes


def run_graph(runner, flow, graph, ends):
    with runner.run(flow, declare(graph.declared)) as result:
        return {position: result[name] for position, name in ends.items()}


@cache
def declare(count):
    """Return a catalog with an entry for each of the first outputs, or none."""
    if not count:
        return None
    entries = {f"value_{position}": {"type": "memory"} for position in range(count)}
    return Datasets.from_config(entries, types=lambda _: MemoryDataset)


@contextmanager
def on_executor(executor, graph, workers, *, warm, **options):
    flow = pipeline(make_nodes(graph))
    ends = {position: f"value_{position}" for position in graph.ends}
    if warm:
        with Runner(executor, workers=workers, executor_options=options) as runner:
            yield Way(lambda: run_graph(runner, flow, graph, ends))
    else:
        yield Way(lambda: run_graph(Runner(executor, workers=workers, executor_options=options), flow, graph, ends))


sequential = partial(on_executor, "sequential")
threads = partial(on_executor, "threads")
process_pool = partial(on_executor, "process_pool")
on_loky = partial(on_executor, "futures", factory="loky:get_reusable_executor")
