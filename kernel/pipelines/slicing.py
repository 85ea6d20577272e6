"""Which nodes a slice keeps: each rule is a function from a graph and names to positions in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kernel.errors import PipelineError
from kernel.pipelines.claims import meant, refuse
from kernel.pipelines.dag import base_names, reachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    from kernel.pipelines.dag import Dag

__all__ = ["RULES", "filtered"]

Side = Literal["input_names", "output_names"]


def named(dag: Dag, names: Iterable[str]) -> set[int]:
    """Return the nodes with these names; PipelineError naming all that are unknown."""
    wanted = list(names)
    refuse(
        [
            f"there is no node {name!r} in this pipeline{meant(name, dag.index)}"
            for name in wanted
            if name not in dag.index
        ]
    )
    return {dag.index[name] for name in wanted}


def from_nodes(dag: Dag, names: Iterable[str]) -> set[int]:
    """Return these nodes and all that come after them."""
    return reachable(dag.children, named(dag, names))


def to_nodes(dag: Dag, names: Iterable[str]) -> set[int]:
    """Return these nodes and all that come before them."""
    return reachable(dag.parents, named(dag, names))


def _using(dag: Dag, side: Side, names: Iterable[str]) -> set[int]:
    """Return the nodes with one of these datasets; a bare name stands for all its transcoded forms."""
    wanted = set(names)
    bases = base_names(dag.nodes)
    known = {name for node in dag.nodes for name in (*node.input_names, *node.output_names)}
    known.update(bases.values())
    unknown = sorted(wanted - known)
    refuse([f"there is no dataset {name!r} in this pipeline{meant(name, known)}" for name in unknown])
    wanted.update([name for name, base in bases.items() if base in wanted])
    return {at for at, node in enumerate(dag.nodes) if not wanted.isdisjoint(getattr(node, side))}


def with_inputs(dag: Dag, names: Iterable[str]) -> set[int]:
    """Return the nodes that read one of these datasets."""
    return _using(dag, "input_names", names)


def with_outputs(dag: Dag, names: Iterable[str]) -> set[int]:
    """Return the nodes that make one of these datasets."""
    return _using(dag, "output_names", names)


def from_inputs(dag: Dag, names: Iterable[str]) -> set[int]:
    """Return the nodes that read one of these datasets and all that come after them."""
    return reachable(dag.children, with_inputs(dag, names))


def to_outputs(dag: Dag, names: Iterable[str]) -> set[int]:
    """Return the nodes that make one of these datasets and all that come before them."""
    return reachable(dag.parents, with_outputs(dag, names))


def with_tags(dag: Dag, tags: Iterable[str]) -> set[int]:
    """Return the nodes that have any of these tags."""
    wanted = set(tags)
    return {at for at, node in enumerate(dag.nodes) if not wanted.isdisjoint(node.tags)}


def with_namespaces(dag: Dag, namespaces: Iterable[str]) -> set[int]:
    """Return the nodes in these namespaces or nested there; PipelineError for a namespace without a node."""
    wanted = set(namespaces)
    enclosing = {space: _enclosing(space) for space in {node.namespace for node in dag.nodes} if space}
    known = {outer for outers in enclosing.values() for outer in outers}
    refuse([f"there is no namespace {name!r} in this pipeline{meant(name, known)}" for name in sorted(wanted - known)])
    inside = {space for space, outers in enclosing.items() if not wanted.isdisjoint(outers)}
    return {at for at, node in enumerate(dag.nodes) if node.namespace in inside}


def _enclosing(namespace: str) -> list[str]:
    """Return a namespace and all that it lies in: 'a.b' lies in 'a'."""
    parts = namespace.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts) + 1)]


RULES: Mapping[str, Callable[[Dag, Iterable[str]], set[int]]] = {
    "tags": with_tags,
    "from_nodes": from_nodes,
    "to_nodes": to_nodes,
    "node_names": named,
    "from_inputs": from_inputs,
    "to_outputs": to_outputs,
    "node_namespaces": with_namespaces,
}


def filtered(dag: Dag, asked: Mapping[str, Collection[str] | None]) -> set[int]:
    """Return what each rule that is asked for keeps of the whole graph; PipelineError if nothing is left."""
    kept = set(range(len(dag.nodes)))
    given = {rule: names for rule, names in asked.items() if names}
    for rule, names in given.items():
        kept &= RULES[rule](dag, [names] if isinstance(names, str) else names)
    if not kept:
        told = ", ".join(f"{rule}={sorted(names)}" for rule, names in given.items())
        raise PipelineError(f"no node of this pipeline fits all of the filters ({told or 'it has no nodes'})")
    return kept
