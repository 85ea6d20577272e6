"""The plan: what schedule and workers need of a pipeline, in columns."""

from __future__ import annotations

from array import array
from collections import Counter
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING

from attrs import frozen

from kernel.nodes.policy import DEFAULT_POLICY

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.pipelines.dag import Dag

__all__ = ["Plan", "make_plan"]

#: Which datasets are persistent, and what follows: columns of inputs and outputs in memory; all names in memory.
_Kept = tuple[frozenset[str], list[tuple[str, ...]], list[tuple[str, ...]], list[str]]


@frozen(eq=False, repr=False, slots=False)
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

    @cached_property
    def names(self) -> frozenset[str]:
        """The full names of all datasets: one object for all runs, so that what is found out of it can be kept."""
        return frozenset(self.load_counts.keys() | self.made.keys())

    @cached_property
    def transcoded(self) -> tuple[str, ...]:
        """The names with '@', sorted."""
        return tuple(sorted([name for name in self.names if "@" in name]))

    @cached_property
    def node_names(self) -> list[str]:
        """The name of each node."""
        return list(self.index)

    @cached_property
    def free_readers(self) -> dict[str, list[str]]:
        """Who reads each free input: names of nodes, in the order of the plan."""
        readers: dict[str, list[str]] = {name: [] for name in self.free_inputs}
        if readers:
            for node, inputs in zip(self.index, self.inputs, strict=True):
                for name in dict.fromkeys(inputs):
                    if name in readers:
                        readers[name].append(node)
        return readers

    @cached_property
    def roots(self) -> list[int]:
        """The nodes that need nothing that another makes."""
        return [at for at, count in enumerate(self.unmet) if not count]

    @cached_property
    def kept(self) -> frozenset[str]:
        """The free outputs, which stay when a run is over."""
        return frozenset(self.free_outputs)

    @cached_property
    def unread(self) -> frozenset[str]:
        """What is made and neither read under its full name nor kept: other names of transcoded datasets."""
        return frozenset(self.made.keys() - self.load_counts.keys() - self.kept)

    @cached_property
    def special(self) -> dict[int, Node]:
        """The nodes that ask for something in their policy, or confirm datasets: most plans have none."""
        usual = DEFAULT_POLICY  # nodes that ask for nothing share it
        return {at: node for at, node in enumerate(self.nodes) if node.policy is not usual or node.confirms}

    def maker(self, name: str) -> str:
        """Return the name of the node that makes a dataset; empty when none does."""
        at = self.made.get(name)
        return "" if at is None else self.node_names[at]

    def in_memory(self, persistent: frozenset[str]) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
        """Of each node its inputs that are made in a run and live in memory, and its outputs that do.

        `persistent` are the plan's datasets that do not live in memory. The columns for the last such set are kept.
        """
        return self._kept(persistent)[1:3]

    def in_memory_names(self, persistent: frozenset[str]) -> list[str]:
        """Return the datasets that live in memory, sorted; `persistent` as for `in_memory`."""
        return self._kept(persistent)[3]

    def _kept(self, persistent: frozenset[str]) -> _Kept:
        last: _Kept | None = self.__dict__.get("_last_kept")
        if last is None or last[0] != persistent:
            kept = self.made.keys() - persistent
            inputs, outputs = (
                [names if kept.issuperset(names) else tuple([name for name in names if name in kept]) for names in side]
                for side in (self.inputs, self.outputs)
            )
            last = self.__dict__["_last_kept"] = (persistent, inputs, outputs, sorted(self.names - persistent))
        return last

    @cached_property
    def order(self) -> array[int]:
        """The nodes in the order in which they should start when several could: the longest way to go first.

        A node's way is the longest chain, in nodes, from it to one that nobody waits for; nodes with the same
        are in the order of the plan.
        """
        longest = [0] * len(self.children)
        for at in range(len(longest) - 1, -1, -1):  # children come after their parents
            below = self.children[at]
            if len(below) == 1:
                longest[at] = longest[below[0]] + 1
            elif below:
                longest[at] = max([longest[child] for child in below]) + 1
        return array("l", sorted(range(len(longest)), key=longest.__getitem__, reverse=True))

    @cached_property
    def rank(self) -> array[int]:
        """Each node's place in `order`."""
        ranks = array("l", bytes(self.order.itemsize * len(self.order)))
        for place, at in enumerate(self.order):
            ranks[at] = place
        return ranks


def make_plan(dag: Dag) -> Plan:
    """Put a graph into columns; O(nodes + edges)."""
    load_counts = dict(Counter(chain.from_iterable(dag.inputs)))
    made, bases = dag.made, dag.bases
    if bases:
        read = {bases.get(name, name) for name in load_counts}
        written = {bases.get(name, name) for name in made}
        free_inputs = {name for name in load_counts if bases.get(name, name) not in written}
        free_outputs = {name for name in made if bases.get(name, name) not in read}
    else:
        free_inputs = load_counts.keys() - made.keys()
        free_outputs = made.keys() - load_counts.keys()
    return Plan(
        dag.nodes,
        dag.index,
        dag.parents,
        dag.children,
        list(map(len, dag.parents)),
        dag.inputs,
        dag.outputs,
        load_counts,
        made,
        tuple(sorted(free_inputs)),
        tuple(sorted(free_outputs)),
        len(dag.layer_ends),
    )
