"""A loop by hand around a pool of processes: what one would write without a library. Values go through the pool."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue

from benchmarks.way import Way


def who_waits(graph):
    """Return how many inputs each step waits for, and who waits for each."""
    missing, readers = [], {}
    for position, step in enumerate(graph.steps):
        missing.append(len(set(step.inputs)))
        for read in set(step.inputs):
            readers.setdefault(read, []).append(position)
    return missing, readers


def run_graph(pool, graph, collector):
    """Run every step as soon as its inputs are there; return the values that nobody reads, by position."""
    missing, readers = who_waits(graph)
    dropped = graph.last_readers() if graph.large else ()
    values, running, done_ones = {}, {}, collector()

    def submit(position):
        step = graph.steps[position]
        arguments = [*step.constants, *(values[read] for read in step.inputs)]
        future = pool.submit(step.function, *arguments)
        running[future] = position
        done_ones.watch(future)

    for position, count in enumerate(missing):
        if not count:
            submit(position)
    while running:
        for future in done_ones.take(running):
            position = running.pop(future)
            values[position] = future.result()
            for read in dropped[position] if dropped else ():
                values.pop(read, None)
            for reader in readers.get(position, ()):
                missing[reader] -= 1
                if not missing[reader]:
                    submit(reader)
    return {position: values[position] for position in graph.ends}


class Waiting:
    """Asks `wait` which futures are done: the first thing that comes to mind."""

    def watch(self, future):
        pass

    def take(self, running):
        return wait(running, return_when=FIRST_COMPLETED).done


class Callbacks:
    """Lets each future put itself into a queue when it is done: what one writes when there are many."""

    def __init__(self):
        self._queue = SimpleQueue()

    def watch(self, future):
        future.add_done_callback(self._queue.put)

    def take(self, running):
        return [self._queue.get()]


@contextmanager
def _loop(make_pool, collector, graph, workers, *, warm):
    if warm:
        with make_pool(workers) as pool:
            yield Way(lambda: run_graph(pool, graph, collector))
    else:

        def run():
            with make_pool(workers) as pool:
                return run_graph(pool, graph, collector)

        yield Way(run)


def on_loky(graph, workers, *, warm):
    import loky

    return _loop(loky.ProcessPoolExecutor, Callbacks, graph, workers, warm=warm)


by_waiting = partial(_loop, ProcessPoolExecutor, Waiting)
by_callbacks = partial(_loop, ProcessPoolExecutor, Callbacks)
