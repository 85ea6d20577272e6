"""Dask: a local cluster of processes with one thread each, and its scheduler on threads of this process."""

from __future__ import annotations

from contextlib import contextmanager

import dask
import dask.threaded

from benchmarks.way import Way


def make_tasks(graph):
    """Return the graph as Dask reads it: a task for each key."""
    return {
        f"value-{position}": (step.function, *step.constants, *(f"value-{read}" for read in step.inputs))
        for position, step in enumerate(graph.steps)
    }


def by_position(graph, values):
    return dict(zip(graph.ends, values, strict=True))


@contextmanager
def threads(graph, workers, *, warm):
    tasks, ends = make_tasks(graph), [f"value-{position}" for position in graph.ends]
    yield Way(lambda: by_position(graph, dask.threaded.get(tasks, ends, num_workers=workers)))


@contextmanager
def _client(workers):
    from distributed import Client, LocalCluster

    # On the loopback only, without web pages; with limits on memory it would write large values to files.
    with (
        LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            memory_limit=0,
            silence_logs=50,
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


@contextmanager
def local_cluster(graph, workers, *, warm):
    tasks, ends = make_tasks(graph), [f"value-{position}" for position in graph.ends]
    if warm:
        with _client(workers) as client:
            yield Way(lambda: by_position(graph, client.get(tasks, ends)))
    else:

        def run():
            with _client(workers) as client:
                return by_position(graph, client.get(tasks, ends))

        yield Way(run)


@contextmanager
def submitted(graph, workers, *, warm):
    """One `submit` for each step, with the futures of its inputs: Dask as one uses it by hand."""
    with _client(workers) as client:

        def run():
            futures = []
            for step in graph.steps:
                read = [futures[each] for each in step.inputs]
                futures.append(client.submit(step.function, *step.constants, *read, pure=False))
            return by_position(graph, client.gather([futures[position] for position in graph.ends]))

        yield Way(run)


@contextmanager
def ours(graph, workers, *, warm):
    """The executor `dask` on a cluster of the same kind."""
    from benchmarks.contenders.runners import on_executor

    with (
        _client(workers) as client,
        on_executor("dask", graph, workers, warm=True, address=client.scheduler.address) as way,
    ):
        yield way
