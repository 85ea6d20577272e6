"""What a run returns: the values of its free outputs, loaded when asked for, and its report."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from kernel.datasets import access
from kernel.errors import RebuildError
from kernel.processes import Home

if TYPE_CHECKING:
    from kernel.datasets import Datasets
    from kernel.report import RunReport
    from kernel.specs.catalog import Catalog, Store

__all__ = ["Result"]


class Result(Mapping[str, Any]):
    """The free outputs of a run by name. Each access gives a value of its own, which may be changed freely.

    It owns what the run left in memory: that stays until the result is closed or collected, whatever becomes of the
    runner. `persistent` names the outputs that were saved to a declared dataset; they are loaded from there. `maker`
    says which node made an output. A process that is forked off may use what it inherits, and close it: what the run
    left stays the other's.
    """

    def __init__(
        self,
        names: Sequence[str],
        datasets: Datasets,
        report: RunReport,
        memory: tuple[Catalog, Store] | None = None,
        persistent: Collection[str] = (),
        maker: Callable[[str], str] | None = None,
    ) -> None:
        self.report = report
        self._names = dict.fromkeys(names, False)
        self._names.update(dict.fromkeys(self._names.keys() & persistent, True))
        self.persistent = tuple([name for name in names if name in persistent] if persistent else ())
        self._datasets = datasets
        self._memory = memory
        self._maker = maker
        self._finalizer = weakref.finalize(self, _close, Home(), memory[0]) if memory is not None else None

    def __getitem__(self, name: str) -> Any:
        is_persistent = self._names.get(name)  # None: there is no such output
        if is_persistent is None:
            raise KeyError(f"{name!r} is not a free output of this run; there are {', '.join(self._names) or 'none'}")
        if is_persistent:
            return access.load(name, self._datasets[name])
        if self._memory is None:
            raise ValueError(f"the result was closed, so the value of {name!r} is gone")
        catalog, store = self._memory
        try:
            return store.load(name, catalog.handle(name))
        except RebuildError as error:
            error.tell("" if self._maker is None else self._maker(name))
            raise

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __repr__(self) -> str:
        return f"<Result of run {self.report.run_id}: {', '.join(self._names) or 'no free outputs'}>"

    def location(self, name: str) -> str | None:
        """Say where a persistent output is, without secrets; None for one in memory."""
        return self._datasets.describe(name) if self._names.get(name) else None

    def close(self) -> None:
        """Drop the values in memory now; persistent outputs can still be loaded."""
        self._memory = None
        if self._finalizer is not None:
            self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _close(home: Home, catalog: Catalog) -> None:
    if home.is_here:
        catalog.close()
