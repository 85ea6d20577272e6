"""A node: one function with named inputs and outputs."""

from __future__ import annotations

from functools import total_ordering
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

from attrs import evolve, fields, frozen

from kernel.errors import PipelineError
from kernel.nodes.calling import DeclaredNames, bind_inputs, unpack_outputs
from kernel.nodes.names import (
    Declared,
    check_datasets,
    check_plain,
    checked_tags,
    listed,
    parse,
    warn_of_dots,
)
from kernel.nodes.policy import DEFAULT_POLICY, Policy
from kernel.nodes.signature import Callee, callee_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

__all__ = ["Node", "node"]

_no_tags: frozenset[str] = frozenset()


def _described(func: object, inputs: object, outputs: object, name: object) -> str:
    if isinstance(name, str) and name:
        return repr(name)
    label = getattr(func, "__name__", None) or type(func).__name__
    return f"{label}({inputs!r}) -> {outputs!r}"


def _default_name(callee: Callee, inputs: DeclaredNames, outputs: DeclaredNames) -> str:
    from hashlib import sha256  # noqa: PLC0415 - seldom needed, and it would slow every start

    told = f"{callee.module}.{callee.label}\0{inputs!r}\0{outputs!r}"
    return f"{callee.label}__{sha256(told.encode()).hexdigest()[:8]}"


def _checked_rest(
    name: str | None,
    tags: str | Iterable[str] | None,
    confirms: str | Sequence[str] | None,
    namespace: str | None,
    after: str | Sequence[str] | None,
) -> tuple[frozenset[str], tuple[str, ...], str | None, tuple[str, ...]]:
    if name is not None:
        check_plain("name", name)
    if namespace is not None:
        check_plain("namespace", namespace)
    return (
        _no_tags if tags is None else checked_tags(tags),
        () if confirms is None else listed("confirms", confirms),
        namespace,
        () if after is None else listed("after", after),
    )


@total_ordering
@frozen(init=False, eq=False, repr=False)
class Node:
    """One function with named inputs and outputs; cannot be changed. Raises PipelineError, naming the node.

    Two nodes are the same when name, inputs and outputs are. `name` includes the namespace. `input_names` has
    a name as often as it is declared; inputs declared by argument are in the order of the signature. `after`
    names nodes that must be done before this one although it reads nothing of theirs; `confirms` names
    datasets to confirm once the outputs are saved.
    """

    func: Callable[..., Any]
    name: str
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    declared_inputs: DeclaredNames
    declared_outputs: DeclaredNames
    tags: frozenset[str]
    confirms: tuple[str, ...]
    namespace: str | None
    after: tuple[str, ...]
    policy: Policy
    is_generator: bool
    given_name: str | None

    def __init__(
        self,
        func: Callable[..., Any],
        inputs: Declared,
        outputs: Declared,
        *,
        name: str | None = None,
        tags: str | Iterable[str] | None = None,
        confirms: str | Sequence[str] | None = None,
        namespace: str | None = None,
        after: str | Sequence[str] | None = None,
        policy: Policy | None = None,
    ) -> None:
        try:
            callee = callee_of(func)
            declared_inputs, input_names = parse("inputs", inputs)
            declared_outputs, output_names = parse("outputs", outputs)
            if isinstance(declared_inputs, dict):
                declared_inputs = {key: declared_inputs[key] for key in callee.order(tuple(declared_inputs))}
                input_names = tuple(declared_inputs.values())
            else:
                callee.order(len(input_names))
            dots = check_datasets(input_names, output_names)
            rest = _checked_rest(name, tags, confirms, namespace, after)
        except PipelineError as error:
            raise PipelineError(f"node {_described(func, inputs, outputs, name)}: {error}") from None
        full = name if name is not None else _default_name(callee, declared_inputs, declared_outputs)
        if namespace is not None:
            full = f"{namespace}.{full}"
        sides = (input_names, output_names, declared_inputs, declared_outputs)
        _fill(self, (func, full, *sides, *rest, policy or DEFAULT_POLICY, callee.is_generator, name))
        if dots:
            for dataset in (*input_names, *output_names):
                if "." in dataset:
                    warn_of_dots(full, namespace, dataset)

    @classmethod
    def restored(
        cls,
        func: Callable[..., Any],
        declared_inputs: DeclaredNames,
        declared_outputs: DeclaredNames,
        *,
        name: str,
        tags: frozenset[str] = _no_tags,
        confirms: tuple[str, ...] = (),
        namespace: str | None = None,
        is_generator: bool = False,
    ) -> Node:
        """Return a node from the full name and other parts of one that was checked before."""
        sides = parse("inputs", declared_inputs)[1], parse("outputs", declared_outputs)[1]
        given = name if namespace is None else name.removeprefix(f"{namespace}.")
        rest = (declared_inputs, declared_outputs, tags, confirms, namespace, (), DEFAULT_POLICY)
        made = object.__new__(cls)
        _fill(made, (func, name, *sides, *rest, is_generator, given))
        return made

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of what is loaded, in order; a name that is declared twice is there twice."""
        return self.input_names

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what is saved, in order."""
        return self.output_names

    @property
    def short_name(self) -> str:
        """The name as given, or the function's name in title case."""
        return self.given_name or callee_of(self.func).label.replace("_", " ").title()

    def tag(self, tags: str | Iterable[str]) -> Node:
        """Return this node with more tags."""
        return self.copy(tags=self.tags.union([tags] if isinstance(tags, str) else tags))

    def copy(self, **changes: Any) -> Node:
        """Return a node with other arguments of `Node`; a default name is worked out anew."""
        kept: dict[str, Any] = {
            "func": self.func,
            "inputs": self.declared_inputs,
            "outputs": self.declared_outputs,
            "name": self.given_name,
            "tags": self.tags,
            "confirms": self.confirms,
            "namespace": self.namespace,
            "after": self.after,
            "policy": self.policy,
        }
        return Node(**(kept | changes))

    def bind(self, values: Sequence[Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """Turn values in the order of `input_names` into positional and keyword arguments."""
        return bind_inputs(self.declared_inputs, values)

    def unpack(self, result: Any) -> Sequence[Any]:
        """Turn what the function returned into values in the order of `output_names`; as `unpack_outputs`."""
        return unpack_outputs(self.name, self.declared_outputs, result)

    def run(self, inputs: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Call the function with values by dataset name and return its outputs by dataset name.

        For a generator function each output is the list of its chunks. Raises PipelineError when the names
        are not exactly the node's inputs or the result is unlike its outputs, and what the function raises.
        """
        given: Mapping[str, Any] = {} if inputs is None else inputs
        if given.keys() != set(self.input_names):
            missing, extra = (
                sorted(set(self.input_names) - given.keys()),
                sorted(given.keys() - set(self.input_names)),
            )
            raise PipelineError(f"node {self.name!r}: inputs missing: {missing}, not inputs of this node: {extra}")
        args, kwargs = self.bind([given[name] for name in self.input_names])
        try:
            result = self.func(*args, **kwargs)
            if not self.is_generator:
                return dict(zip(self.output_names, self.unpack(result), strict=True))
            chunks = [self.unpack(chunk) for chunk in result]
        except Exception as error:
            kind = type(error).__name__
            import logging  # noqa: PLC0415 - seldom needed, and it would slow every start

            logging.getLogger(__name__).error("node %r failed: %s", self.name, kind)  # noqa: TRY400 - the caller gets the traceback
            raise
        return {name: [chunk[at] for chunk in chunks] for at, name in enumerate(self.output_names)}

    def __call__(self, **inputs: Any) -> dict[str, Any]:
        """Call `run` with datasets whose names are also names in Python."""
        return self.run(inputs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Node):
            return NotImplemented
        return self is other or self._identity() == other._identity()

    def __lt__(self, other: object) -> bool:
        return self._identity() < other._identity() if isinstance(other, Node) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.name)

    def _identity(self) -> tuple[Any, ...]:
        forms = (repr(self.declared_inputs), repr(self.declared_outputs))
        return self.name, self.input_names, self.output_names, forms

    def __str__(self) -> str:
        inputs, outputs = (
            f"[{';'.join(names)}]" if names else "None" for names in (self.input_names, self.output_names)
        )
        return f"{self.name}: {callee_of(self.func).label}({inputs}) -> {outputs}"

    def __repr__(self) -> str:
        return f"Node({self.name!r}, {self.declared_inputs!r}, {self.declared_outputs!r})"


_SETTERS = tuple(getattr(Node, field.name).__set__ for field in fields(Node))


def _fill(made: Node, values: tuple[Any, ...]) -> None:
    """Set all attributes, in the order of the class; only a node that nobody has seen yet may be filled."""
    for assign, value in zip(_SETTERS, values, strict=True):
        assign(made, value)


class _PolicyFields(TypedDict, total=False):
    timeout: float | None
    retries: int
    death_retries: int | None
    resources: Mapping[str, float]
    executor: str | None
    fresh_process: bool


def node(
    func: Callable[..., Any],
    inputs: Declared,
    outputs: Declared,
    *,
    name: str | None = None,
    tags: str | Iterable[str] | None = None,
    confirms: str | Sequence[str] | None = None,
    namespace: str | None = None,
    after: str | Sequence[str] | None = None,
    policy: Policy | None = None,
    **shortcuts: Unpack[_PolicyFields],
) -> Node:
    """Make a node; the arguments of `Node`, and the fields of `Policy` as shortcuts that outrank `policy`."""
    if shortcuts:
        try:
            policy = evolve(policy or DEFAULT_POLICY, **shortcuts)
        except PipelineError as error:
            raise PipelineError(f"node {_described(func, inputs, outputs, name)}: {error}") from None
    return Node(
        func,
        inputs,
        outputs,
        name=name,
        tags=tags,
        confirms=confirms,
        namespace=namespace,
        after=after,
        policy=policy,
    )
