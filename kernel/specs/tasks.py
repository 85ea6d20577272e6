"""What goes to an executor: the program once for each worker, then turns in column batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, evolve, field, frozen

if TYPE_CHECKING:
    from kernel.hooks import Hooks
    from kernel.nodes import Node
    from kernel.nodes.calling import DeclaredNames
    from kernel.specs.catalog import Store

__all__ = ["ListenerRef", "NodeDetails", "Program", "Tasks", "Turn"]


@frozen
class ListenerRef:
    """A listener on its way to a worker: `target` is "module:attr", or the object itself where it has no such name."""

    name: str
    target: Any
    distribution: str = ""


@frozen
class NodeDetails:
    """What few nodes have: kept apart so that a plain node costs a worker nothing."""

    tags: frozenset[str] = frozenset()
    namespace: str | None = None
    confirms: tuple[str, ...] = ()
    retries: int = 0
    generator: bool = False


@frozen
class Program:
    """All that a worker needs once: the nodes in columns, the store, what is loaded from where, who listens.

    Columns have one entry for each node, in the order of the plan: `which` is the position of the node's function in
    `functions`, `inputs` and `outputs` are as declared (None, a name, a tuple, a mapping). `details` has only the nodes
    that have any. `modules` are those that define the functions: a clean worker, or what it is made from, may import
    them early. `free` holds the handles of the free inputs that live in memory; `datasets` what builds each dataset
    that does not (call it to get the dataset).
    """

    run_id: str
    is_async: bool
    functions: Sequence[Callable[..., Any]]
    which: Sequence[int]
    names: Sequence[str]
    inputs: Sequence[DeclaredNames]
    outputs: Sequence[DeclaredNames]
    details: Mapping[int, NodeDetails]
    free: Mapping[str, Any]
    datasets: Mapping[str, Callable[[], Any]]
    store: Store
    listeners: Sequence[ListenerRef] = ()
    log_level: int | None = None
    warning_filters: Sequence[Any] = ()
    modules: Sequence[str] = ()
    #: The runner's own nodes and listeners, for workers in its process; they do not travel.
    nodes: Sequence[Node] | None = None
    hooks: Hooks | None = None

    def for_travel(self) -> Program:
        """Return the program as it goes to another process."""
        return evolve(self, nodes=None, hooks=None)


@frozen
class Turn:
    """One node's turn: a view of one position of a batch of tasks.

    `handles` are those of the inputs made in this run, in the order of the node's inputs; bit k of `last` says that
    nobody reads the k-th of them after this turn.
    """

    index: int
    handles: Sequence[Any]
    last: int = 0
    attempt: int = 1
    timeout: float | None = None


@define(eq=False)
class Tasks:
    """A batch of turns to run, in columns; iterates as `Turn` views.

    `handles` and `last` are None when no turn of the batch has any; `attempts` and `timeouts` map from the position.
    """

    index: Sequence[int]
    handles: Sequence[Sequence[Any]] | None = None
    last: Sequence[int] | None = None
    attempts: Mapping[int, int] = field(factory=dict[int, int])
    timeouts: Mapping[int, float] = field(factory=dict[int, float])

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Turn]:
        handles, last = self.handles, self.last
        for at, index in enumerate(self.index):
            yield Turn(
                index,
                handles[at] if handles is not None else (),
                last[at] if last is not None else 0,
                self.attempts.get(at, 1),
                self.timeouts.get(at),
            )
