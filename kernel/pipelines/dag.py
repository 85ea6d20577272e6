"""The graph of a pipeline: who comes before whom, in topological order; O(nodes + edges)."""

from __future__ import annotations

from itertools import chain
from operator import attrgetter
from typing import TYPE_CHECKING

from attrs import frozen

from kernel.errors import PipelineError
from kernel.nodes import base_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from kernel.nodes import Node

__all__ = ["Dag", "base_names", "build_dag", "cycles", "layers", "reachable"]

_SHOWN = 20
"""So many nodes of a cycle are named."""


@frozen(eq=False)
class Dag:
    """Nodes in topological order, by name within a layer; positions in it stand for nodes everywhere else.

    `parents` and `children` have each neighbour once, by data (transcoded or not) and
    by `after`; `layer_ends` has the position after the last node of each layer.
    """

    nodes: tuple[Node, ...]
    index: dict[str, int]
    parents: list[tuple[int, ...]]
    children: list[tuple[int, ...]]
    layer_ends: tuple[int, ...]


def base_names(nodes: Collection[Node]) -> dict[str, str]:
    """Map each transcoded name of these nodes to the dataset it stands for; empty in most pipelines."""
    sides = [node.input_names for node in nodes] + [node.output_names for node in nodes]
    if "@" not in "".join(chain.from_iterable(sides)):  # several times faster than to look at each name
        return {}
    return {name: base_name(name) for names in sides for name in names if "@" in name}


def build_dag(nodes: Collection[Node]) -> Dag:
    """Order nodes whose names and outputs are unique; PipelineError naming the nodes of each cycle."""
    # Positions follow the names, so that a layer in the order of positions is in the order of names, too.
    ordered = sorted(nodes, key=attrgetter("name"))
    parents = _parents(ordered)
    children: list[list[int]] = [[] for _ in ordered]
    for child, above in enumerate(parents):
        for parent in above:
            children[parent].append(child)
    order, ends = layers(parents, children)
    if len(order) < len(ordered):
        found = cycles(parents, set(range(len(ordered))).difference(order))
        raise PipelineError("; ".join(_told([ordered[at] for at in cycle]) for cycle in found))
    place = [0] * len(order)
    for at, old in enumerate(order):
        place[old] = at
    new_place = place.__getitem__
    in_order = tuple([ordered[old] for old in order])
    return Dag(
        in_order,
        {node.name: at for at, node in enumerate(in_order)},
        [tuple(map(new_place, parents[old])) for old in order],
        [tuple(map(new_place, children[old])) for old in order],
        ends,
    )


def _parents(nodes: Sequence[Node]) -> list[Collection[int]]:
    inputs = [node.input_names for node in nodes]
    outputs = [node.output_names for node in nodes]
    bases = base_names(nodes)
    if bases:
        inputs = [tuple([bases.get(name, name) for name in names]) for names in inputs]
        outputs = [tuple([bases.get(name, name) for name in names]) for names in outputs]
    made = {name: at for at, names in enumerate(outputs) for name in names}
    parents: list[Collection[int]] = [[made[name] for name in names if name in made] for names in inputs]
    with_order = [at for at, node in enumerate(nodes) if node.after]
    if with_order:
        by_name = {node.name: at for at, node in enumerate(nodes)}
        for at in with_order:
            parents[at] = [*parents[at], *[by_name[name] for name in nodes[at].after if name in by_name]]
    return [found if len(set(found)) == len(found) else dict.fromkeys(found) for found in parents]


def layers(parents: Sequence[Collection[int]], children: Sequence[list[int]]) -> tuple[list[int], tuple[int, ...]]:
    """Return positions layer by layer and where the layers end; what is on or behind a cycle is left out."""
    unmet = [len(above) for above in parents]
    layer = [at for at, count in enumerate(unmet) if not count]
    order: list[int] = []
    ends: list[int] = []
    while layer:
        order += layer
        ends.append(len(order))
        below: list[int] = []
        for at in layer:
            for child in children[at]:
                unmet[child] -= 1
                if not unmet[child]:
                    below.append(child)
        below.sort()
        layer = below
    return order, tuple(ends)


def cycles(parents: Sequence[Iterable[int]], stuck: set[int]) -> list[list[int]]:
    """Find cycles among positions that each have a parent in `stuck`: at least one; none share a position."""
    seen: set[int] = set()
    found: list[list[int]] = []
    for start in sorted(stuck):
        path: dict[int, None] = {}
        at = start
        while at not in seen:
            seen.add(at)
            path[at] = None
            at = next(parent for parent in parents[at] if parent in stuck)
        if at in path:
            walked = list(path)
            found.append(walked[walked.index(at) :][::-1])
    return found


def _told(cycle: Sequence[Node]) -> str:
    shown = [node.name for node in cycle[:_SHOWN]]
    more = [f"({len(cycle) - _SHOWN} more)"] if len(cycle) > _SHOWN else []
    return f"nodes wait for each other in a cycle: {' -> '.join([*shown, *more, cycle[0].name])}"


def reachable(neighbours: Sequence[Iterable[int]], start: Iterable[int]) -> set[int]:
    """Return the positions that can be reached from `start`, and those."""
    found = set(start)
    queue = list(found)
    while queue:
        for at in neighbours[queue.pop()]:
            if at not in found:
                found.add(at)
                queue.append(at)
    return found
