"""Pipelines for people and for other tools: groups of nodes, a text, JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from kernel.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel.pipelines.dag import Dag
    from kernel.pipelines.plan import Plan

__all__ = ["NodeGroup", "as_json", "described", "grouped"]


@frozen
class NodeGroup:
    """Nodes to be deployed as one: `type` is "namespace" or "nodes", `dependencies` names other groups."""

    name: str
    type: str
    nodes: tuple[str, ...]
    dependencies: tuple[str, ...]


def grouped(dag: Dag, by: str | None) -> list[NodeGroup]:
    """Group nodes by outermost namespace, or put each into a group of its own; in topological order."""
    if by not in {None, "none", "namespace"}:
        raise PipelineError(f"nodes can be grouped by 'namespace' or 'none', not by {by!r}")
    keys: list[tuple[str, str]] = []
    members: dict[tuple[str, str], list[int]] = {}
    for at, node in enumerate(dag.nodes):
        in_namespace = by == "namespace" and node.namespace
        key = ("namespace", in_namespace.partition(".")[0]) if in_namespace else ("nodes", node.name)
        keys.append(key)
        members.setdefault(key, []).append(at)
    groups: list[NodeGroup] = []
    for key, inside in members.items():
        needed = {keys[parent] for at in inside for parent in dag.parents[at]} - {key}
        names = tuple([dag.nodes[at].name for at in inside])
        groups.append(NodeGroup(key[1], key[0], names, tuple(sorted(name for _, name in needed))))
    return groups


def described(plan: Plan, *, names_only: bool) -> str:
    """Return a text with inputs, nodes in order and outputs."""
    nodes = [node.name if names_only else str(node) for node in plan.nodes]
    return "\n".join(
        [f"Inputs: {_or_none(plan.free_inputs)}", "", *nodes, "", f"Outputs: {_or_none(plan.free_outputs)}"]
    )


def _or_none(names: Iterable[str]) -> str:
    return ", ".join(names) or "None"


def as_json(plan: Plan) -> str:
    """Return the nodes in order, with inputs, outputs and tags, as JSON."""
    nodes = [
        {
            "name": node.name,
            "inputs": node.input_names,
            "outputs": node.output_names,
            "tags": sorted(node.tags),
        }
        for node in plan.nodes
    ]
    import json  # noqa: PLC0415 - seldom needed, and it would slow every start

    return json.dumps({"pipeline": nodes})
