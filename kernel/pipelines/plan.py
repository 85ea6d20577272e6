"""The plan: what schedule and workers need of a pipeline, in columns."""

from __future__ import annotations

from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

from attrs import frozen

from kernel.pipelines.dag import base_names

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.pipelines.dag import Dag

__all__ = ["Plan", "make_plan"]


@frozen(eq=False)
class Plan:
    """Columns with one entry for each node, in topological order; shared by all runs, so never to be changed.

    `load_counts` has how often each dataset is loaded, `made` who makes it, both by full name; a transcoded
    dataset joins nodes by its base name. `free_inputs` and `free_outputs` are sorted, `layers` is the length
    of the longest chain.
    """

    nodes: tuple[Node, ...]
    index: dict[str, int]
    parents: list[tuple[int, ...]]
    children: list[tuple[int, ...]]
    unmet: list[int]
    inputs: list[tuple[str, ...]]
    outputs: list[tuple[str, ...]]
    load_counts: dict[str, int]
    made: dict[str, int]
    free_inputs: tuple[str, ...]
    free_outputs: tuple[str, ...]
    layers: int


def make_plan(dag: Dag) -> Plan:
    """Put a graph into columns; O(nodes + edges)."""
    inputs = [node.input_names for node in dag.nodes]
    outputs = [node.output_names for node in dag.nodes]
    load_counts = dict(Counter(chain.from_iterable(inputs)))
    made = {name: at for at, names in enumerate(outputs) for name in names}
    bases = base_names(dag.nodes)
    if bases:
        read = {bases.get(name, name) for name in load_counts}
        written = {bases.get(name, name) for name in made}
        free_inputs = [name for name in load_counts if bases.get(name, name) not in written]
        free_outputs = [name for name in made if bases.get(name, name) not in read]
    else:
        free_inputs = [name for name in load_counts if name not in made]
        free_outputs = [name for name in made if name not in load_counts]
    return Plan(
        dag.nodes,
        dag.index,
        dag.parents,
        dag.children,
        [len(above) for above in dag.parents],
        inputs,
        outputs,
        load_counts,
        made,
        tuple(sorted(free_inputs)),
        tuple(sorted(free_outputs)),
        len(dag.layer_ends),
    )
