"""Pipelines used again under another namespace or with other datasets: new names for nodes and datasets."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

from attrs import field, frozen

from kernel.errors import PipelineError
from kernel.nodes import base_name
from kernel.pipelines.claims import meant, refuse
from kernel.pipelines.dag import cycles, layers

if TYPE_CHECKING:
    from kernel.nodes import DeclaredNames, Node
    from kernel.pipelines.dag import Dag
    from kernel.pipelines.plan import Plan

__all__ = ["Names", "make_renaming", "renamed", "warn_of_interruptions"]

Names = None | str | Iterable[str] | Mapping[str, str]
"""Datasets that keep their name, or the new name of each."""

_ALL_PARAMETERS = "parameters"
_PARAMETER = "params:"


def _is_parameter(name: str) -> bool:
    return name == _ALL_PARAMETERS or name.startswith(_PARAMETER)


def _mapping(what: str, names: Names) -> dict[str, str]:
    found: dict[str, str]
    if isinstance(names, str):
        found = {names: names}
    elif isinstance(names, Mapping):
        found = dict(cast("Mapping[str, str]", names))
    else:
        found = {name: name for name in names or ()}
    if not all(isinstance(name, str) for name in (*found, *found.values())):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        raise PipelineError(f"{what} must be a name, a list of names or a dict from names to names")
    return found


def _parameter_name(name: str) -> str:
    return name if _is_parameter(name) else f"{_PARAMETER}{name}"


@frozen(eq=False, repr=False)
class Renaming:
    """New names for datasets: those in `mapping`, and a prefix for all others if there is a namespace."""

    mapping: Mapping[str, str]
    prefix: str | None
    _known: dict[str, str] = field(factory=dict[str, str])

    def __call__(self, name: str) -> str:
        found = self._known.get(name)
        if found is None:
            found = self._known[name] = self._new(name)
        return found

    def _new(self, name: str) -> str:
        base, at, form = name.partition("@")
        if name in self.mapping:
            return self.mapping[name]
        if at and base in self.mapping:
            return f"{self.mapping[base]}@{form}"
        if self.prefix is None or name == _ALL_PARAMETERS:
            return name
        if name.startswith(_PARAMETER):
            return f"{_PARAMETER}{self.prefix}.{name.removeprefix(_PARAMETER)}"
        return f"{self.prefix}.{name}"

    def declared(self, names: DeclaredNames) -> DeclaredNames:
        """Rename inputs or outputs in the form in which a node declares them."""
        if names is None:
            return None
        if isinstance(names, str):
            return self(names)
        if isinstance(names, tuple):
            return tuple([self(name) for name in names])
        return {key: self(name) for key, name in names.items()}


def make_renaming(plan: Plan, inputs: Names, outputs: Names, parameters: Names, prefix: str | None) -> Renaming:
    """Check what is to be mapped against the pipeline; PipelineError with all that does not fit."""
    new_inputs, new_outputs = _mapping("inputs", inputs), _mapping("outputs", outputs)
    new_parameters = {
        _parameter_name(old): _parameter_name(new) for old, new in _mapping("parameters", parameters).items()
    }
    known = {*plan.load_counts, *plan.made}
    known.update([base_name(name) for name in known])
    made = {base_name(name) for name in plan.made}
    problems: list[str] = []
    for what, mapping in (("inputs", new_inputs), ("outputs", new_outputs), ("parameters", new_parameters)):
        for name in mapping:
            if what != "parameters" and _is_parameter(name):
                problems.append(f"{name!r} is a parameter: map it in 'parameters', not in {what!r}")
            elif name not in known:
                problems.append(f"{what!r} maps {name!r}, which no node reads or makes{meant(name, known)}")
            elif what == "inputs" and base_name(name) in made:
                problems.append(f"'inputs' maps {name!r}, but a node of this pipeline makes it; map it in 'outputs'")
            elif what == "outputs" and base_name(name) not in made:
                problems.append(f"'outputs' maps {name!r}, but no node of this pipeline makes it; map it in 'inputs'")
    refuse(problems)
    return Renaming(new_inputs | new_outputs | new_parameters, prefix)


def renamed(nodes: Iterable[Node], renaming: Renaming, namespace: str | None) -> list[Node]:
    """Return nodes with other names for their datasets, put into a namespace if there is one."""
    copies: dict[str, Node] = {}
    for node in nodes:
        spaces = [space for space in (namespace, node.namespace) if space]
        copies[node.name] = node.copy(
            inputs=renaming.declared(node.declared_inputs),
            outputs=renaming.declared(node.declared_outputs),
            confirms=[renaming(name) for name in node.confirms],
            namespace=".".join(spaces) or None,
        )
    return [
        copy.copy(after=[copies[name].name if name in copies else name for name in copy.after]) if copy.after else copy
        for copy in copies.values()
    ]


def warn_of_interruptions(dag: Dag) -> None:
    """Warn where a namespace could not run as one: another node comes after one part and before another."""
    if not any(node.namespace for node in dag.nodes):
        return
    spaces = [tuple(node.namespace.split(".")) if node.namespace else () for node in dag.nodes]
    for depth in range(1, max(map(len, spaces), default=0) + 1):
        groups: dict[tuple[str, ...] | int, int] = {}
        keys = [space[:depth] if len(space) >= depth else at for at, space in enumerate(spaces)]
        member = [groups.setdefault(key, len(groups)) for key in keys]
        parents: list[set[int]] = [set() for _ in groups]
        children: list[list[int]] = [[] for _ in groups]
        for at, above in enumerate(dag.parents):
            parents[member[at]].update([member[parent] for parent in above if member[parent] != member[at]])
        for child, outside in enumerate(parents):
            for parent in outside:
                children[parent].append(child)
        done, _ = layers(parents, children)
        if len(done) < len(groups):
            told = [".".join(key) if isinstance(key, tuple) else key for key in groups]
            for cycle in cycles(parents, set(range(len(groups))).difference(done)):
                _warn(dag, [told[group] for group in cycle])


def _warn(dag: Dag, cycle: Sequence[str | int]) -> None:
    inside = [name for name in cycle if isinstance(name, str)]
    others = [name if isinstance(name, str) else dag.nodes[name].name for name in cycle if name != inside[0]]
    warnings.warn(
        f"namespace {inside[0]!r} is interrupted by {', '.join(map(repr, others))}, which comes after one "
        f"part of it and before another: it cannot be run as one group",
        UserWarning,
        stacklevel=2,
    )
