"""The graph of a pipeline: who comes before whom, in topological order; O(nodes + edges)."""

from __future__ import annotations

from collections import Counter
from itertools import accumulate, chain, pairwise
from operator import attrgetter
from typing import TYPE_CHECKING

from attrs import frozen

from kernel.errors import PipelineError
from kernel.nodes import base_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from kernel.nodes import Node

__all__ = ["Dag", "base_names", "build_dag", "cycles", "layers", "reachable"]

_SHOWN = 20
"""So many nodes of a cycle are named."""


@frozen(eq=False, repr=False)
class Dag:
    """Nodes in topological order, by name within a layer; positions in it stand for nodes everywhere else.

    `inputs` and `outputs` are their names of datasets, `made` says who makes which. `bases` maps each transcoded
    name to the dataset it stands for; it is empty in most pipelines. `parents` and `children` have each neighbour
    once, by data (transcoded or not) and by `after`; `layer_ends` has the position after the last node of each layer.
    """

    nodes: tuple[Node, ...]
    index: dict[str, int]
    inputs: list[tuple[str, ...]]
    outputs: list[tuple[str, ...]]
    made: dict[str, int]
    bases: dict[str, str]
    parents: list[tuple[int, ...]]
    children: list[tuple[int, ...]]
    layer_ends: tuple[int, ...]


_name_of, _inputs_of, _outputs_of, _after_of = map(attrgetter, ("name", "input_names", "output_names", "after"))


def base_names(nodes: Collection[Node]) -> dict[str, str]:
    """Map each transcoded name of these nodes to the dataset it stands for; empty in most pipelines."""
    return _bases([*map(_inputs_of, nodes), *map(_outputs_of, nodes)])


def _bases(sides: Sequence[tuple[str, ...]]) -> dict[str, str]:
    if "@" not in "".join(chain.from_iterable(sides)):  # several times faster than to look at each name
        return {}
    return {name: base_name(name) for names in sides for name in names if "@" in name}


def build_dag(nodes: Sequence[Node]) -> Dag:
    """Order nodes whose names and outputs are unique; PipelineError naming the nodes of each cycle."""
    names, inputs, outputs = _columns(nodes)
    bases = _bases([*inputs, *outputs])
    levels = _levels_as_given(nodes, inputs, outputs) if not bases else None
    if levels is None:
        nodes = sorted(nodes, key=_name_of)  # so that a cycle is told in the same way in whatever order nodes are given
        names, inputs, outputs = _columns(nodes)
        levels = _levels(nodes, _parents(nodes, _based(inputs, bases), _made(_based(outputs, bases))))
    # What is equal by the second key stays as it was sorted by the first: each layer is in the order of names.
    order = sorted(sorted(range(len(names)), key=names.__getitem__), key=levels.__getitem__)
    ordered = tuple([nodes[at] for at in order])
    inputs, outputs = [inputs[at] for at in order], [outputs[at] for at in order]
    made = _made(outputs)
    parents = _parents(ordered, _based(inputs, bases), _made(_based(outputs, bases)) if bases else made)
    return Dag(
        ordered,
        dict(zip([names[at] for at in order], range(len(order)), strict=True)),
        inputs,
        outputs,
        made,
        bases,
        parents,
        _children(parents),
        tuple(accumulate(count for _, count in sorted(Counter(levels).items()))),
    )


def _columns(nodes: Iterable[Node]) -> tuple[list[str], list[tuple[str, ...]], list[tuple[str, ...]]]:
    return list(map(_name_of, nodes)), list(map(_inputs_of, nodes)), list(map(_outputs_of, nodes))


def _based(sides: list[tuple[str, ...]], bases: Mapping[str, str]) -> list[tuple[str, ...]]:
    return [tuple([bases.get(name, name) for name in names]) for names in sides] if bases else sides


def _made(outputs: Sequence[tuple[str, ...]]) -> dict[str, int]:
    return {name: at for at, names in enumerate(outputs) for name in names}


def _levels_as_given(
    nodes: Iterable[Node], inputs: Iterable[tuple[str, ...]], outputs: Iterable[tuple[str, ...]]
) -> list[int] | None:
    """Return the number of each node's layer; None unless every node is given after those that it depends on."""
    if any(map(_after_of, nodes)):
        return None
    layer_of: dict[str, int] = {}
    found = layer_of.get
    levels: list[int] = []
    read_before: set[str] = set()
    for needed, made in zip(inputs, outputs, strict=True):
        level = 0
        for name in needed:
            above = found(name)
            if above is None:
                read_before.add(name)
            elif above > level:
                level = above
        levels.append(level)
        for name in made:
            layer_of[name] = level + 1
    return levels if read_before.isdisjoint(layer_of) else None


def _levels(nodes: Sequence[Node], parents: Sequence[tuple[int, ...]]) -> list[int]:
    """Return the number of each node's layer, in whatever order they are given."""
    order, ends = layers(parents, _children(parents))
    if len(order) < len(nodes):
        found = cycles(parents, set(range(len(nodes))).difference(order))
        raise PipelineError("; ".join(_told([nodes[at].name for at in cycle]) for cycle in found))
    levels = [0] * len(nodes)
    for level, (start, end) in enumerate(pairwise((0, *ends))):
        for at in order[start:end]:
            levels[at] = level
    return levels


def _parents(
    nodes: Sequence[Node], inputs: Iterable[tuple[str, ...]], made: Mapping[str, int]
) -> list[tuple[int, ...]]:
    parents: list[tuple[int, ...]] = []
    for names in inputs:
        above = tuple([made[name] for name in names if name in made]) if names else ()
        parents.append(above if len(above) < 2 or len(set(above)) == len(above) else tuple(dict.fromkeys(above)))  # noqa: PLR2004 - one alone is no repetition
    if any(map(_after_of, nodes)):
        at_name = {node.name: at for at, node in enumerate(nodes)}
        for at, node in enumerate(nodes):
            earlier = [at_name[name] for name in node.after if name in at_name]
            parents[at] = tuple(dict.fromkeys((*parents[at], *earlier)))
    return parents


def _children(parents: Sequence[tuple[int, ...]]) -> list[tuple[int, ...]]:
    children: list[list[int] | tuple[int, ...]] = [()] * len(parents)
    for child, above in enumerate(parents):
        for parent in above:
            known = children[parent]
            if not known:
                children[parent] = (child,)  # most have one child, so they never need a list
            elif isinstance(known, tuple):
                children[parent] = [*known, child]
            else:
                known.append(child)
    return list(map(tuple, children))


def layers(parents: Sequence[Collection[int]], children: Sequence[Iterable[int]]) -> tuple[list[int], tuple[int, ...]]:
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


def _told(cycle: Sequence[str]) -> str:
    more = [f"({len(cycle) - _SHOWN} more)"] if len(cycle) > _SHOWN else []
    return f"nodes wait for each other in a cycle: {' -> '.join([*cycle[:_SHOWN], *more, cycle[0]])}"


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
