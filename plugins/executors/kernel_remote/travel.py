"""Makes functions and programs into bytes that a worker can read: by reference where it can import, else by value."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from operator import attrgetter
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kernel.errors import ValidationError
from kernel.values.by_value import by_value
from kernel_remote.hidden import hidden_modules, home, taken_by_value

if TYPE_CHECKING:
    from kernel.nodes import Node

__all__ = ["Sendable", "dumps", "obstacle"]


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


class Sendable:
    """Says whether the functions of nodes can be sent. The verdict is kept: most runs of a warm runner are of the same.

    What they hold may have changed since, and may stop them after all: then shipping them fails, `explained`.
    """

    def __init__(self) -> None:
        self._nodes: Sequence[Node] = ()
        self._functions: Sequence[Callable[..., Any]] = ()
        self._is_known = False
        #: What was found when the nodes of the coming run were looked at.
        self._hidden: Sequence[ModuleType] | None = None

    def check(self, nodes: Sequence[Node]) -> None:
        """Raise one `ValidationError` with every node whose function cannot be sent to a worker."""
        if self._nodes is not nodes:
            self._nodes, self._functions, self._is_known = nodes, _distinct_functions(nodes), False
        self._hidden = None  # of a run that was refused for another reason
        if not self._is_known:
            self._hidden = _check_functions(nodes, self._functions)
            self._is_known = True

    def hidden(self, modules: Iterable[str]) -> Sequence[ModuleType]:
        """Return what goes by value of the modules that a run's functions are in."""
        hidden, self._hidden = self._hidden, None
        return hidden_modules(modules) if hidden is None else hidden

    @contextmanager
    def explained(self) -> Generator[None]:
        """Have an error of what ships the functions say which node it is about, where a look at them tells."""
        try:
            yield
        except Exception:
            self._is_known = False
            self.check(self._nodes)
            self._hidden = None
            raise


def _distinct_functions(nodes: Sequence[Node]) -> list[Callable[..., Any]]:
    """List what the nodes run, each function once: many nodes may share one."""
    every = list(map(attrgetter("func"), nodes))
    return list(dict(zip(map(id, every), every, strict=True)).values())


def _check_functions(nodes: Sequence[Node], functions: Sequence[Callable[..., Any]]) -> list[ModuleType]:
    """Raise one `ValidationError` with all nodes that cannot be sent; return the modules that have to go by value.

    `functions` are those of the nodes.
    """
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
