"""The graphs that are run: plain steps, from which each contender makes what it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import field, frozen

from benchmarks import functions


@frozen
class Step:
    """One call: its output is named after its position; inputs are positions of earlier steps, or constants."""

    function: Callable[..., Any]
    inputs: tuple[int, ...] = ()
    constants: tuple[Any, ...] = ()


@frozen
class Graph:
    """Steps in an order in which they can run, and the number that the last values have to add up to."""

    title: str
    steps: tuple[Step, ...]
    expected: float
    repetitions: int
    ends: tuple[int, ...] = field(init=False)

    @ends.default
    def _without_readers(self):
        read = {position for step in self.steps for position in step.inputs}
        return tuple(position for position in range(len(self.steps)) if position not in read)


def independent(count, repetitions):
    steps = (Step(functions.one),) * count
    return Graph(f"{count:,} no-op nodes", steps, count, repetitions)


def chain(length, repetitions):
    steps = (Step(functions.one), *(Step(functions.add_one, (at,)) for at in range(length - 1)))
    return Graph(f"chain of {length} nodes", steps, length, repetitions)


def array(megabytes, readers, repetitions):
    items = megabytes * 2**20 // 8
    steps = (
        Step(functions.make_array, constants=(megabytes,)),
        *(Step(functions.total, (0,)) for _ in range(readers)),
        Step(functions.join, tuple(range(1, readers + 1))),
    )
    title = f"{megabytes} MB array, {readers} readers, one join"
    return Graph(title, steps, readers * (items - 1) * items / 2, repetitions)


def all_graphs(*, quick):
    if quick:
        return [independent(200, 3), independent(1_000, 3), chain(100, 3), array(32, 8, 3)]
    return [independent(1_000, 9), independent(10_000, 3), chain(500, 5), array(256, 8, 3)]
