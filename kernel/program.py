"""Makes the program of a run: the nodes in columns, so that ten thousand of them are sent as a few lists."""

from __future__ import annotations

import pickle
from array import array
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from attrs import frozen

from kernel.nodes import Node
from kernel.specs.tasks import NodeDetails, Program
from kernel.values.libraries import registered

if TYPE_CHECKING:
    from kernel.hooks import Hooks
    from kernel.nodes.calling import DeclaredNames
    from kernel.pipelines import Plan
    from kernel.specs.catalog import Store

__all__ = ["make_program", "node_of"]


@frozen(eq=False, repr=False)
class _Columns:
    """The part of a program that depends on the plan alone: made for its first run, and used for all of them."""

    functions: Sequence[Callable[..., Any]]
    which: Sequence[int]
    names: Sequence[str]
    inputs: Sequence[DeclaredNames]
    outputs: Sequence[DeclaredNames]
    details: Mapping[int, NodeDetails]
    modules: Sequence[str]
    packed: Mapping[str, _Packed]


class _Packed:
    """A column on its way to workers: pickled for the first run, unpickled once by each worker that sees several."""

    def __init__(self, column: Any) -> None:
        self._column = column
        self._data: bytes | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        if self._data is None:
            self._data = pickle.dumps(self._column, 5)
        return _unpacked, (self._data,)


@lru_cache(maxsize=5)
def _unpacked(data: bytes) -> Any:
    return pickle.loads(data)


_columns: WeakKeyDictionary[Plan, _Columns] = WeakKeyDictionary()


def make_program(
    plan: Plan,
    *,
    run_id: str,
    is_async: bool,
    store: Store,
    free: Mapping[str, Any],
    datasets: Mapping[str, Callable[[], Any]],
    hooks: Hooks,
    death_retries: int = 1,
) -> Program:
    """Put a plan into columns, each distinct function once, with all else that a worker needs once."""
    columns = _columns.get(plan)
    if columns is None:
        columns = _columns[plan] = _columns_of(plan)
    return Program(
        run_id,
        is_async,
        columns.functions,
        columns.which,
        columns.names,
        columns.inputs,
        columns.outputs,
        columns.details,
        free,
        datasets,
        store,
        hooks.worker_refs(),
        columns.modules,
        plan.nodes,
        hooks,
        plan.rank,
        plan.order,
        columns.packed,
        death_retries,
        registered(),
    )


def _columns_of(plan: Plan) -> _Columns:
    nodes = plan.nodes
    functions, which = _distinct(nodes)
    columns: dict[str, Any] = {
        "which": which,
        "names": plan.node_names,
        "inputs": [node.declared_inputs for node in nodes],
        "outputs": [node.declared_outputs for node in nodes],
        "details": _details(nodes),
    }
    packed = {name: _Packed(column) for name, column in columns.items()}
    return _Columns(functions, **columns, modules=_modules(functions), packed=packed)


def _distinct(nodes: Sequence[Node]) -> tuple[list[Callable[..., Any]], array[int]]:
    """List each function once, and for each node the place of its own in that list."""
    places: dict[int, int] = {}
    functions: list[Callable[..., Any]] = []
    which = array("L")
    for node in nodes:
        place = places.setdefault(id(node.func), len(functions))
        if place == len(functions):
            functions.append(node.func)
        which.append(place)
    return functions, array("B", which) if len(functions) < 1 << 8 else which


def _details(nodes: Sequence[Node]) -> dict[int, NodeDetails]:
    return {
        index: NodeDetails(node.tags, node.namespace, node.confirms, node.policy.retries, node.is_generator)
        for index, node in enumerate(nodes)
        if node.tags or node.namespace or node.confirms or node.policy.retries or node.is_generator
    }


def _modules(functions: Sequence[Callable[..., Any]]) -> tuple[str, ...]:
    """List the modules that define the functions: a clean worker, or what it is made from, may load them early."""
    names = {getattr(_innermost(function), "__module__", None) for function in functions}
    return tuple(sorted(name for name in names if name and name not in {"__main__", "builtins"}))


def _innermost(function: Callable[..., Any]) -> Callable[..., Any]:
    while isinstance(function, partial):
        function = function.func
    return function


def node_of(program: Program, index: int) -> Node:
    """Build the node again that a position of the columns stands for; it was checked when it was made."""
    details = program.details.get(index, NodeDetails())
    return Node.restored(
        program.functions[program.which[index]],
        program.inputs[index],
        program.outputs[index],
        name=program.names[index],
        tags=details.tags,
        confirms=details.confirms,
        namespace=details.namespace,
        is_generator=details.generator,
    )
