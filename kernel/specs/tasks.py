"""What goes to an executor: the program once for each worker, then turns in column batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from attrs import define, evolve, field, frozen

if TYPE_CHECKING:
    from kernel.hooks import Hooks
    from kernel.nodes import Node
    from kernel.nodes.calling import DeclaredNames
    from kernel.specs.catalog import Store

__all__ = ["MADE", "Chain", "ListenerRef", "NodeDetails", "Program", "Tasks", "Turn"]


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

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing here but what listeners may want to know."""
        return not (self.confirms or self.retries or self.generator)


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
    modules: Sequence[str] = ()
    #: The runner's own nodes and listeners, for workers in its process; they do not travel.
    nodes: Sequence[Node] | None = None
    hooks: Hooks | None = None
    #: Which of the nodes that are ready is to go first: the place of each in the order of the longest path that is
    #: left from it, and the order itself. They do not travel.
    rank: Sequence[int] = ()
    order: Sequence[int] = ()
    #: The columns as they travel, by name: pickled once for all runs of a plan. They do not travel as this.
    packed: Mapping[str, Any] | None = None
    #: How often a node runs again whose worker was lost, unless its policy says otherwise.
    death_retries: int = 1
    #: Entry points of the group `kernel.values` that workers do not know by themselves, by package.
    values: Mapping[str, str] = field(factory=dict[str, str])

    def for_travel(self) -> Program:
        """Return the program as it goes to another process."""
        return evolve(self, nodes=None, hooks=None, rank=(), order=(), packed=None, **(self.packed or {}))


#: Stands in a chain's handles for a value that a turn before in the same chain makes: its worker knows it. No store
#: gives it out as a handle; every wire carries it.
MADE: Final = ...


@frozen
class Chain:
    """Turns that the worker of a turn, the chain's head, goes straight on to, one after the other.

    Columns have an entry for each. `handles` are as in `Turn`, with `MADE` for what the chain itself makes. Bit k of
    `inner` says that the output of its k-th turn, counted from the head (0), is read by the next one only: it need not
    be published, if the worker can hand on the very object without anybody noticing.
    """

    index: Sequence[int]
    handles: Sequence[Sequence[Any]]
    last: Sequence[int]
    inner: int = 0


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
    chain: Chain | None = None


@define(eq=False)
class Tasks:
    """A batch of turns to run, in columns; iterates as `Turn` views.

    `handles` and `last` are None when no turn of the batch has any. What few turns have is in mappings from the node's
    position in the plan: `attempts` (where not 1), `timeouts` (seconds), `chains` (of turns that are heads of one, only
    for an executor with the capability `chains`). An attempt or a time limit of a chain's turn is found there as well.
    """

    index: Sequence[int]
    handles: Sequence[Sequence[Any]] | None = None
    last: Sequence[int] | None = None
    attempts: Mapping[int, int] = field(factory=dict[int, int])
    timeouts: Mapping[int, float] = field(factory=dict[int, float])
    chains: Mapping[int, Chain] = field(factory=dict[int, Chain])

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Turn]:
        handles, last = self.handles, self.last
        for at, index in enumerate(self.index):
            yield Turn(
                index,
                handles[at] if handles is not None else (),
                last[at] if last is not None else 0,
                self.attempts.get(index, 1),
                self.timeouts.get(index),
                self.chains.get(index),
            )
