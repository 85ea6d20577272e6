"""The pipeline: an immutable DAG of nodes; all that is derived is worked out once, when first asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from typing import Any, Literal, cast

from kernel.errors import PipelineError
from kernel.nodes import Node
from kernel.pipelines import outline, slicing
from kernel.pipelines.claims import Claims, all_clashes, claims_of, joined, may_loop, refuse, sound_dag
from kernel.pipelines.dag import Dag, build_dag
from kernel.pipelines.namespaces import Names, make_renaming, renamed, warn_of_interruptions
from kernel.pipelines.plan import Plan, make_plan

__all__ = ["Pipeline", "pipeline"]

_SMALL_SUM = 256
"""Up to this many nodes, each sum is searched for cycles at once; see `Pipeline.__add__`."""


class Pipeline:
    """Nodes joined by the datasets that they make and read. Raises PipelineError with all that is wrong.

    `nodes` may hold pipelines as well. `inputs`, `outputs` and `parameters` map datasets to other names;
    those that are only listed keep theirs. `namespace` goes in front of all other names, of nodes and (unless
    `prefix_datasets_with_namespace` is False) of datasets; `tags` are added to each node.
    """

    def __init__(
        self,
        nodes: Iterable[Node | Pipeline] | Pipeline,
        *,
        inputs: Names = None,
        outputs: Names = None,
        parameters: Names = None,
        tags: str | Iterable[str] | None = None,
        namespace: str | None = None,
        prefix_datasets_with_namespace: bool = True,
    ) -> None:
        joined, loose = Pipeline._flattened(nodes)
        self._take(joined, loose)
        if inputs is not None or outputs is not None or parameters is not None or namespace is not None:
            prefix = namespace if prefix_datasets_with_namespace else None
            renaming = make_renaming(self.plan, inputs, outputs, parameters, prefix)
            self._take(renamed(self.plan.nodes, renaming, namespace))
        if tags is not None:
            added = [tags] if isinstance(tags, str) else list(tags)
            self._take([node.tag(added) for node in self._members])
        warn_of_interruptions(self._dag)

    def _take(self, nodes: list[Node], loose: Sequence[Node] = ()) -> None:
        """Become the pipeline of these nodes; those that loose ones name in `after` must be there as well."""
        dag = sound_dag(nodes, loose)
        self.__dict__.clear()
        self.__dict__.update(_members=tuple(nodes), _checked=len(nodes), _dag=dag)

    @staticmethod
    def _flattened(nodes: Iterable[Node | Pipeline] | Pipeline) -> tuple[list[Node], list[Node]]:
        """Return all nodes, and those that were given by themselves."""
        if isinstance(nodes, Pipeline):
            return list(nodes._members), []  # noqa: SLF001 - its own class
        if not isinstance(nodes, Iterable) or isinstance(nodes, str):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise PipelineError(f"nodes must be an iterable of nodes and pipelines, got {type(nodes).__name__}")
        given_ones = list(nodes)
        if set(map(type, given_ones)) == {Node}:
            plain = cast("list[Node]", given_ones)
            return plain, plain
        joined: list[Node] = []
        loose: list[Node] = []
        for given in given_ones:
            if isinstance(given, Node):
                joined.append(given)
                loose.append(given)
            elif isinstance(given, Pipeline):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
                joined += given._members  # noqa: SLF001 - its own class
            else:
                raise PipelineError(f"nodes must be nodes and pipelines, got {type(given).__name__} among them")
        return joined, loose

    @classmethod
    def _of(cls, **state: Any) -> Pipeline:
        """Make a pipeline of what is known to be good: nodes of another one, or claims that do not clash."""
        made = cls.__new__(cls)
        made.__dict__.update(state)
        return made

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a Pipeline cannot be changed: {name} was not set; make a new one")

    def __getstate__(self) -> dict[str, Any]:
        return {"_members": self._members}

    # What is worked out once.

    @cached_property
    def _members(self) -> tuple[Node, ...]:
        parts: tuple[Claims, ...] = self._parts
        joined: dict[str, Node] = {}
        for part in reversed(parts):
            joined |= part.nodes
        return tuple(joined.values())

    @cached_property
    def _parts(self) -> tuple[Claims, ...]:
        return (claims_of(self._members, []),)

    @cached_property
    def _checked(self) -> int:
        return len(self._members)

    @cached_property
    def _dag(self) -> Dag:
        return build_dag(self._members)

    @cached_property
    def plan(self) -> Plan:
        """What schedule and workers need, in columns; shared by all runs, not to be changed."""
        return make_plan(self._dag)

    # Reads.

    @property
    def nodes(self) -> list[Node]:
        """The nodes in topological order, by name where that leaves a choice."""
        return list(self._dag.nodes)

    @property
    def grouped_nodes(self) -> list[list[Node]]:
        """The nodes in layers: each depends only on layers before its own; by name within a layer."""
        ends = self._dag.layer_ends
        return [list(self._dag.nodes[start:end]) for start, end in zip((0, *ends), ends, strict=False)]

    @property
    def node_dependencies(self) -> dict[Node, set[Node]]:
        """Each node with those that must be done before it, by data or by `after`."""
        nodes = self._dag.nodes
        return {node: {nodes[at] for at in above} for node, above in zip(nodes, self._dag.parents, strict=True)}

    def inputs(self) -> set[str]:
        """Return the names of datasets that are read here but not made here."""
        return set(self.plan.free_inputs)

    def outputs(self) -> set[str]:
        """Return the names of datasets that are made here but not read here."""
        return set(self.plan.free_outputs)

    def all_inputs(self) -> set[str]:
        """Return the names of all datasets that are read."""
        return set(self.plan.load_counts)

    def all_outputs(self) -> set[str]:
        """Return the names of all datasets that are made."""
        return set(self.plan.made)

    def datasets(self) -> set[str]:
        """Return the names of all datasets."""
        return self.all_inputs() | self.all_outputs()

    def group_nodes_by(self, by: Literal["namespace", "none"] | None = None) -> list[outline.NodeGroup]:
        """Group nodes by their outermost namespace, or each into a group of its own; in topological order."""
        return outline.grouped(self._dag, by)

    def describe(self, *, names_only: bool = True) -> str:
        """Return a text with inputs, nodes in order and outputs."""
        return outline.described(self.plan, names_only=names_only)

    def to_json(self) -> str:
        """Return the nodes in order, with inputs, outputs and tags, as JSON."""
        return outline.as_json(self.plan)

    def __repr__(self) -> str:
        shown = [str(node) for node in self._dag.nodes[:10]]
        more = ["..."] if len(self._dag.nodes) > len(shown) else []
        return "\n".join(["Pipeline([", *shown, *more, "])"])

    # Algebra.

    def __add__(self, other: object) -> Pipeline:
        if not isinstance(other, Pipeline):
            return NotImplemented
        mine, theirs = self._parts, other._parts
        refuse(all_clashes(mine, theirs))
        made = Pipeline._of(_parts=joined(mine, theirs), _checked=max(self._checked, other._checked))
        # A cycle needs edges both ways. To search each large sum would make sums of many quadratic:
        # from some size on it is searched when it has doubled, and at the first read at the latest.
        if may_loop(mine, theirs):
            total = sum(len(part.nodes) for part in made._parts)
            if total <= _SMALL_SUM or total >= 2 * made._checked:
                made.__dict__["_checked"] = len(made._dag.nodes)
        return made

    def __radd__(self, other: object) -> Pipeline:
        return self if other == 0 else NotImplemented  # sum() starts from 0

    def __or__(self, other: object) -> Pipeline:
        return self + other if isinstance(other, Pipeline) else NotImplemented

    def __sub__(self, other: object) -> Pipeline:
        if not isinstance(other, Pipeline):
            return NotImplemented
        gone = set(other._members)
        return Pipeline._of(_members=tuple(node for node in self._members if node not in gone))

    def __and__(self, other: object) -> Pipeline:
        if not isinstance(other, Pipeline):
            return NotImplemented
        common = set(other._members)
        return Pipeline._of(_members=tuple(node for node in self._members if node in common))

    def tag(self, tags: str | Iterable[str]) -> Pipeline:
        """Return this pipeline with more tags on each node."""
        added = [tags] if isinstance(tags, str) else list(tags)
        return Pipeline._of(_members=tuple([node.tag(added) for node in self._members]))

    # Slices. Names that the pipeline does not have are a PipelineError.

    def _slice(self, kept: Collection[int]) -> Pipeline:
        nodes = self._dag.nodes
        return Pipeline._of(_members=tuple([nodes[at] for at in sorted(kept)]))

    def only_nodes(self, *names: str) -> Pipeline:
        """Keep the nodes with these names."""
        return self._slice(slicing.named(self._dag, names))

    def only_nodes_with_inputs(self, *datasets: str) -> Pipeline:
        """Keep the nodes that read one of these datasets; a bare name stands for all its transcoded forms."""
        return self._slice(slicing.with_inputs(self._dag, datasets))

    def only_nodes_with_outputs(self, *datasets: str) -> Pipeline:
        """Keep the nodes that make one of these datasets; a bare name stands for all its transcoded forms."""
        return self._slice(slicing.with_outputs(self._dag, datasets))

    def only_nodes_with_tags(self, *tags: str) -> Pipeline:
        """Keep the nodes that have any of these tags; none given, none kept."""
        return self._slice(slicing.with_tags(self._dag, tags))

    def only_nodes_with_namespaces(self, *namespaces: str | Iterable[str]) -> Pipeline:
        """Keep the nodes in these namespaces and in those nested there; takes names or lists of names."""
        names = [name for given in namespaces for name in ([given] if isinstance(given, str) else given)]
        return self._slice(slicing.with_namespaces(self._dag, names))

    def from_nodes(self, *names: str) -> Pipeline:
        """Keep these nodes and all that come after them."""
        return self._slice(slicing.from_nodes(self._dag, names))

    def to_nodes(self, *names: str) -> Pipeline:
        """Keep these nodes and all that come before them."""
        return self._slice(slicing.to_nodes(self._dag, names))

    def from_inputs(self, *datasets: str) -> Pipeline:
        """Keep the nodes that read one of these datasets and all that come after them."""
        return self._slice(slicing.from_inputs(self._dag, datasets))

    def to_outputs(self, *datasets: str) -> Pipeline:
        """Keep the nodes that make one of these datasets and all that come before them."""
        return self._slice(slicing.to_outputs(self._dag, datasets))

    def filter(
        self,
        tags: Collection[str] | None = None,
        from_nodes: Collection[str] | None = None,
        to_nodes: Collection[str] | None = None,
        node_names: Collection[str] | None = None,
        from_inputs: Collection[str] | None = None,
        to_outputs: Collection[str] | None = None,
        node_namespaces: Collection[str] | None = None,
    ) -> Pipeline:
        """Keep what all of these slices of the whole pipeline have; PipelineError if that is nothing."""
        asked = {
            "tags": tags,
            "from_nodes": from_nodes,
            "to_nodes": to_nodes,
            "node_names": node_names,
            "from_inputs": from_inputs,
            "to_outputs": to_outputs,
            "node_namespaces": node_namespaces,
        }
        return self._slice(slicing.filtered(self._dag, asked))


pipeline = Pipeline
"""`pipeline([...])` reads like `node(...)`."""
