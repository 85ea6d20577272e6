"""Ray: one remote task for each step, given the references of its inputs."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager

import ray

from benchmarks.way import Way


def run_graph(remotes, graph):
    references = {}
    for position, step in enumerate(graph.steps):
        read = [references[read] for read in step.inputs]
        references[position] = remotes[step.function].remote(*step.constants, *read)
    ends = [references[position] for position in graph.ends]
    return dict(zip(graph.ends, ray.get(ends), strict=True))


@contextmanager
def _session(workers):
    # Its folder is this process's own temporary one, which whoever started this process removes.
    ray.init(
        num_cpus=workers,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        object_store_memory=2 * 2**30,
        _temp_dir=os.environ.get("TMPDIR", tempfile.gettempdir()),
    )
    try:
        yield
    finally:
        ray.shutdown()


def make_remotes(graph):
    return {function: ray.remote(function) for function in {step.function for step in graph.steps}}


@contextmanager
def tasks(graph, workers, *, warm):
    if warm:
        with _session(workers):
            remotes = make_remotes(graph)
            yield Way(lambda: run_graph(remotes, graph))
    else:

        def run():
            with _session(workers):
                return run_graph(make_remotes(graph), graph)

        yield Way(run)


@contextmanager
def ours(graph, workers, *, warm):
    """The executor `ray` in a session of the same kind, which it finds there."""
    from benchmarks.contenders.runners import on_executor

    with _session(workers), on_executor("ray", graph, workers, warm=True) as way:
        yield way
