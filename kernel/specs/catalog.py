"""What a catalog is: it keeps the values that live in memory and says how they travel to workers."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from attrs import frozen

from kernel.datasets.dataset import CopyMode, Dataset
from kernel.specs.markers import hookspec

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.specs.executor import Reach

__all__ = [
    "Catalog",
    "CopyMode",
    "Dataset",
    "DatasetHooks",
    "Found",
    "Handle",
    "OwningStore",
    "ResumableCatalog",
    "Store",
    "WarmCatalog",
]

#: Where a value is, as its catalog understands it; opaque to everybody else, and picklable. Anything but `...`, which
#: stands for a value that is not there yet (`kernel.specs.tasks.MADE`).
Handle = Any


class Store(Protocol):
    """The worker's half of a catalog. It is pickled into the program; `open` is called once in each worker.

    In the runner's process the store that `Catalog.open` returned is open already.
    """

    def open(self, worker: int) -> None:
        """Make ready in this process, which is worker number `worker` (from 0)."""
        ...

    def close(self) -> None:
        """Let go of everything; called when the worker ends in good order or takes up another run."""
        ...

    def load(self, name: str, handle: Handle, last: bool = False) -> Any:
        """Return a value that the caller may change freely and nobody else will see changed.

        `last`: nobody loads this handle after this, and no retry will.
        """
        ...

    def save(self, name: str, data: Any) -> Handle:
        """Keep the value as it is now; what the caller does to it later is not seen by readers."""
        ...

    def size(self, handle: Handle) -> int:
        """Say how many bytes the handle's value takes outside the handle itself; 0 when it travels inside it."""
        ...

    def discard(self, handle: Handle) -> None:
        """Drop a value that this store saved and nobody was told about."""
        ...


@runtime_checkable
class OwningStore(Protocol):
    """What a store may have beyond `Store`: values that nobody else has need no copy when they are kept."""

    def take_over(self, name: str, data: Any) -> Handle:
        """Keep the value itself. The caller has made sure that nobody holds it, or can change a part of it."""
        ...


class Catalog(Protocol):
    """The runner's half, built as `factory(**options)`. It serves one run; each run gets a catalog of its own."""

    def validate_catalog(
        self,
        names: Sequence[str],
        values: Mapping[str, Any],
        reach: Reach,
        readers: Mapping[str, Sequence[str]],
    ) -> None:
        """Raise one `ValidationError` with every dataset in memory that cannot reach the workers.

        `names` are all datasets of the pipeline that live in memory, `values` those that have a value before the run
        (free inputs), `readers` the names of the nodes that read each of those.
        """
        ...

    def open(self, copy_modes: Mapping[str, CopyMode], reach: Reach, workers: int) -> Store:
        """Set the manager datasets: make a shared place for the values in memory, reachable by `workers` workers.

        `copy_modes` has the datasets for which the user chose one.
        """
        ...

    def handle(self, name: str) -> Handle:
        """Return the handle of a value that was adopted and not yet released."""
        ...

    def adopt(self, names: Iterable[str], handles: Iterable[Handle]) -> None:
        """Take over what a worker, or the runner, saved; a handle that was there under the name is superseded."""
        ...

    def release(self, names: Iterable[str]) -> None:
        """Drop values that nobody will read again."""
        ...

    def discard(self, handles: Iterable[Handle]) -> None:
        """Drop values that were saved but are not wanted: of a stale attempt, or superseded."""
        ...

    def worker_lost(self, worker: int) -> None:
        """Sweep what a dead worker left."""
        ...

    def settle(self, keep: Iterable[str]) -> None:
        """Keep these values for the result and drop all else: the run is over, its workers are gone or idle."""
        ...

    def close(self) -> None:
        """Drop everything. May be called twice."""
        ...


@runtime_checkable
class WarmCatalog(Protocol):
    """What a catalog may have beyond `Catalog`: it hands on to the next run what is dear to set up."""

    def successor(self) -> Catalog:
        """Return the catalog of the run after this one's; called before `open`, by a runner that is kept warm.

        The successor may take over what its predecessor needs no more. It is opened when that one's run is over, or
        closed when there is no further run. What the predecessor's result holds stays there.
        """
        ...


@frozen(eq=False)
class Found:
    """What an earlier run left: the nodes that it had done, each as its text `str(node)`, and values by name."""

    nodes: Collection[str]
    values: Mapping[str, Handle]


@runtime_checkable
class ResumableCatalog(Protocol):
    """What a catalog may have beyond `Catalog`: values outlive a run that ends badly, and another goes on."""

    #: Whether all values are saved, for another run to find: none is handed on within a worker alone.
    saves_all: bool

    def found(self) -> Found | None:
        """Return what the earlier run left; None when this one begins anew. Called once, before anything else.

        What the run takes over of the values is adopted after `open`; the others are the catalog's to drop.
        """
        ...

    def follow(self, done: Callable[[], Collection[str]]) -> None:
        """Take what tells the nodes that are done, as texts; called once, after `open`.

        `done` may be called at any time and from any thread. Who asks for values first and for nodes then has all
        values that the other nodes need: those of a node are adopted before it is done, and released after that.
        """
        ...

    def resume_options(self) -> Mapping[str, str]:
        """Return the options of a catalog that would go on with this run, were it to end now; none if nothing stays."""
        ...


class DatasetHooks:
    """Hooks around the loading and saving of datasets, called in the worker for every dataset of a node."""

    @hookspec
    def before_dataset_loaded(self, dataset_name: str, node: Node) -> None:
        """Listen to a dataset that is about to be loaded for a node."""

    @hookspec
    def after_dataset_loaded(self, dataset_name: str, data: Any, node: Node) -> None:
        """Listen to a dataset that has been loaded for a node."""

    @hookspec
    def before_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Listen to a dataset that a node is about to save."""

    @hookspec
    def after_dataset_saved(self, dataset_name: str, data: Any, node: Node) -> None:
        """Listen to a dataset that a node has saved."""
