"""The graphs that are run: plain steps, from which each contender makes what it runs."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from benchmarks import functions

#: Nodes in a layer of a layered graph.
LAYER = 100


@frozen
class Step:
    """One call: its output is named after its position; constants come before the inputs, which are earlier steps."""

    function: Callable[..., Any]
    inputs: tuple[int, ...] = ()
    constants: tuple[Any, ...] = ()


@frozen
class Graph:
    """Steps in an order in which they can run, and the number that the last values have to add up to.

    `expected` of None: whatever the contender's first run gives. `large` values are dropped after their last reader by
    those who have to do so by hand. `declared` is how many outputs have an entry in the catalog, where there are any.
    """

    steps: tuple[Step, ...]
    expected: float | None
    large: bool = False
    declared: int = 0
    ends: tuple[int, ...] = field(init=False)

    @ends.default
    def _without_readers(self):
        read = {position for step in self.steps for position in step.inputs}
        return tuple(position for position in range(len(self.steps)) if position not in read)

    def last_readers(self):
        """Return, for each step, the inputs that nobody reads after it."""
        last = {read: position for position, step in enumerate(self.steps) for read in step.inputs}
        dropped = [[] for _ in self.steps]
        for read, position in last.items():
            dropped[position].append(read)
        return dropped


def independent(count):
    return Graph((Step(functions.one),) * count, count)


def chain(length):
    return Graph((Step(functions.one), *(Step(functions.add_one, (at,)) for at in range(length - 1))), length)


def chains(count, length):
    """Several chains beside each other."""
    steps = [Step(functions.one)] * count
    steps += [Step(functions.add_one, (at,)) for at in range(count * (length - 1))]
    return Graph(tuple(steps), count * length)


def layered(count, *, declared=0):
    """Each node reads two random ones of the layer before its own."""
    chance = random.Random(count)
    steps = []
    for position in range(count):
        start = (position // LAYER - 1) * LAYER
        if start < 0:
            steps.append(Step(functions.one))
        else:
            read = start + chance.randrange(LAYER), start + chance.randrange(LAYER)
            steps.append(Step(functions.left_of, read))
    graph = Graph(tuple(steps), None, declared=declared)
    return Graph(graph.steps, len(graph.ends), declared=declared)


def fan(source, reader, readers, join, expected):
    """One source, read by many, whose values are joined."""
    return Graph(
        (source, *(reader,) * readers, Step(join, tuple(range(1, readers + 1)))),
        expected,
        large=True,
    )
