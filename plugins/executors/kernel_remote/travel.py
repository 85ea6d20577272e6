"""Makes functions and programs into bytes that a worker can read: by reference where it can import, else by value."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from operator import attrgetter
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kernel.errors import ValidationError
from kernel.values.by_value import by_value
from kernel_remote.hidden import hidden_modules, home, taken_by_value

if TYPE_CHECKING:
    from kernel.nodes import Node

__all__ = ["check_functions", "distinct_functions", "dumps", "obstacle"]


def dumps(value: Any, hidden: Sequence[ModuleType] = ()) -> bytes:
    """Pickle by reference; by value what is local, nameless, of the main script or of a `hidden` module.

    Raises whatever stops it.
    """
    try:
        data = pickle.dumps(value, 5)
    except Exception:  # whatever pickle cannot do is tried again by value, whose error counts
        data = b"__main__"
    if b"__main__" not in data and not any(module.__name__.encode() in data for module in hidden):
        return data
    with taken_by_value(hidden):
        return by_value(value, named=False)


def obstacle(value: Any, hidden: Sequence[ModuleType] = ()) -> str | None:
    """Say why a value cannot travel; None if it can."""
    try:
        pickle.loads(dumps(value, hidden))  # what can be sent may still not arrive
    except Exception as error:  # whatever stops it is the reason
        reason = f"{type(error).__name__}: {error}"
        place = home(value)
        if any(module.__name__ == place for module in hidden):
            reason += f" (by value, for workers cannot import the module {place!r}: put it into a file on sys.path)"
        return reason
    return None


def distinct_functions(nodes: Sequence[Node]) -> list[Callable[..., Any]]:
    """List what the nodes run, each function once: many nodes may share one."""
    every = list(map(attrgetter("func"), nodes))
    return list(dict(zip(map(id, every), every, strict=True)).values())


def check_functions(nodes: Sequence[Node], functions: Sequence[Callable[..., Any]] | None = None) -> list[ModuleType]:
    """Raise one `ValidationError` with all nodes that cannot be sent; return the modules that have to go by value.

    `functions` are those of the nodes, for callers who have them already.
    """
    functions = distinct_functions(nodes) if functions is None else functions
    hidden = hidden_modules(set(map(home, functions)))
    if obstacle(functions, hidden) is None:  # one look at all of them, for they share most of what they need
        return hidden
    causes = {id(func): cause for func in functions if (cause := obstacle(func, hidden)) is not None}
    if causes:
        raise ValidationError(
            [
                f"node {node.name!r} cannot be sent to another process: {causes[id(node.func)]}; "
                f"run with the executor 'threads' or 'sequential'"
                for node in nodes
                if id(node.func) in causes
            ]
        )
    return hidden
