"""Values that never leave the runner's process, in a run whose other values do: kept by a catalog of their own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from kernel.several import part_of
from kernel.specs.catalog import Found, OwningStore, ResumableCatalog
from kernel.specs.executor import Reach

if TYPE_CHECKING:
    from kernel.pipelines import Pipeline
    from kernel.specs.catalog import Catalog, CopyMode, Handle, Store
    from kernel.specs.executor import Executor

__all__ = ["Apart", "apart", "names_apart"]


def names_apart(pipeline: Pipeline, executor: Executor) -> frozenset[str]:
    """List the datasets that only nodes in the runner's process read and make, where others run elsewhere."""
    here: set[str] = set()
    elsewhere: set[str] = set()
    for node in pipeline.plan.nodes:
        side = here if part_of(executor, node).capabilities.reach == Reach.THREAD else elsewhere
        side.update(node.inputs, node.outputs)
    return frozenset(here - elsewhere) if elsewhere else frozenset()


@frozen(eq=False)
class _Local:
    """A handle of the catalog that keeps values in this process."""

    handle: Any


class _ApartStore:
    """Both stores as one. To other processes it goes as the one of values that travel."""

    def __init__(self, far: Store, near: Store, names: frozenset[str]) -> None:
        self._far, self._near, self._names = far, near, names

    def __reduce__(self) -> tuple[Any, ...]:
        return _itself, (self._far,)

    def open(self, worker: int) -> None:
        self._far.open(worker)

    def close(self) -> None:
        self._near.close()
        self._far.close()

    def load(self, name: str, handle: Handle, last: bool = False) -> Any:
        if type(handle) is _Local:
            return self._near.load(name, handle.handle, last)
        return self._far.load(name, handle, last)

    def save(self, name: str, data: Any) -> Handle:
        if name in self._names:
            return _Local(self._near.save(name, data))
        return self._far.save(name, data)

    def take_over(self, name: str, data: Any) -> Handle:
        near = self._near
        if name in self._names and isinstance(near, OwningStore):
            return _Local(near.take_over(name, data))
        return self.save(name, data)

    def size(self, handle: Handle) -> int:
        return 0 if type(handle) is _Local else self._far.size(handle)

    def discard(self, handle: Handle) -> None:
        if type(handle) is _Local:
            self._near.discard(handle.handle)
        else:
            self._far.discard(handle)


def _itself(store: Store) -> Store:
    return store


class Apart:
    """Two catalogs as one: `near` keeps the values under `names`, `far` all others."""

    def __init__(self, far: Catalog, near: Catalog, names: frozenset[str]) -> None:
        self._far, self._near, self._names = far, near, names

    def validate_catalog(
        self, names: Sequence[str], values: Mapping[str, Any], reach: Reach, readers: Mapping[str, Sequence[str]]
    ) -> None:
        """Have each look at its own values."""
        for catalog, is_near, how_far in ((self._near, True, Reach.THREAD), (self._far, False, reach)):
            own = [name for name in names if (name in self._names) == is_near]
            given = {name: value for name, value in values.items() if (name in self._names) == is_near}
            catalog.validate_catalog(own, given, how_far, {name: readers[name] for name in given})

    def open(self, copy_modes: Mapping[str, CopyMode], reach: Reach, workers: int) -> Store:
        """Open both."""
        near = self._near.open(copy_modes, Reach.THREAD, 1)
        return _ApartStore(self._far.open(copy_modes, reach, workers), near, self._names)

    def handle(self, name: str) -> Handle:
        """Return the handle of a value that was adopted."""
        return _Local(self._near.handle(name)) if name in self._names else self._far.handle(name)

    def adopt(self, names: Iterable[str], handles: Iterable[Handle]) -> None:
        """Have each take over its own."""
        pairs = list(zip(names, handles, strict=True))
        near = [(name, handle.handle) for name, handle in pairs if type(handle) is _Local]
        far = [(name, handle) for name, handle in pairs if type(handle) is not _Local]
        self._near.adopt([name for name, _ in near], [handle for _, handle in near])
        self._far.adopt([name for name, _ in far], [handle for _, handle in far])

    def release(self, names: Iterable[str]) -> None:
        """Have each drop its own."""
        gone = list(names)
        self._near.release([name for name in gone if name in self._names])
        self._far.release([name for name in gone if name not in self._names])

    def discard(self, handles: Iterable[Handle]) -> None:
        """Have each drop its own."""
        gone = list(handles)
        self._near.discard([handle.handle for handle in gone if type(handle) is _Local])
        self._far.discard([handle for handle in gone if type(handle) is not _Local])

    def worker_lost(self, worker: int) -> None:
        """Pass on."""
        self._far.worker_lost(worker)

    def settle(self, keep: Iterable[str]) -> None:
        """Have each keep its own."""
        kept = list(keep)
        self._near.settle([name for name in kept if name in self._names])
        self._far.settle([name for name in kept if name not in self._names])

    def close(self) -> None:
        """Close both."""
        self._near.close()
        self._far.close()


class _Resumable(Apart):
    """Two of which the far one keeps its values for another run; the others are made again where they are needed."""

    def __init__(self, far: Catalog, near: Catalog, names: frozenset[str]) -> None:
        super().__init__(far, near, names)
        assert isinstance(far, ResumableCatalog)
        self._lasting = far
        self.saves_all = far.saves_all

    def found(self) -> Found | None:
        """Return what the far one has found, but for what is kept here this time."""
        found = self._lasting.found()
        if found is None:
            return None
        return Found(found.nodes, {name: kept for name, kept in found.values.items() if name not in self._names})

    def follow(self, done: Callable[[], Collection[str]]) -> None:
        """Pass on."""
        self._lasting.follow(done)

    def resume_options(self) -> Mapping[str, str]:
        """Pass on."""
        return self._lasting.resume_options()


def apart(far: Catalog, near: Catalog, names: frozenset[str]) -> Apart:
    """Return both as one, which a run can go on with if it can with `far`."""
    return (_Resumable if isinstance(far, ResumableCatalog) else Apart)(far, near, names)
