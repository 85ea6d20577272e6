"""The runner's side of a pool of futures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor as Pool
from typing import TYPE_CHECKING, Any

from kernel.specs.executor import Capabilities, Reach
from kernel_futures.factory import find_factory
from kernel_futures.pool import PoolEngine
from kernel_remote.executor import RemoteExecutor
from kernel_remote.loaded import Loaded

if TYPE_CHECKING:
    from kernel.specs.events import Event
    from kernel.specs.tasks import Program

__all__ = ["FuturesExecutor"]


class FuturesExecutor(RemoteExecutor):
    """Runs nodes on a pool: `factory` makes it, and is given as it is or as "module:name".

    `options` are passed to the factory; `max_workers` is added where it takes that and it is not among them. Values
    between nodes go through the runner, or to where the catalog puts them. Raises ConfigError for a factory that cannot
    be found or does not take the options.
    """

    capabilities = Capabilities(reach=Reach.MACHINE, chains=True, prompt=False, blames=False)

    def __init__(
        self, factory: str | Callable[..., Pool] = "concurrent.futures:ProcessPoolExecutor", **options: Any
    ) -> None:
        self._pools = PoolEngine(find_factory(factory, options))
        super().__init__(self._pools)
        self._loaded: Loaded | None = None

    def start(self, program: Program, workers: int) -> int:
        """Make ready for a run; processes that have loaded code which was loaded again here are replaced."""
        if self._loaded is None:
            self._loaded = Loaded()
        elif self._loaded.has_changed():
            self._pools.close(cancel=False)
        return super().start(program, workers)

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Return all events that are in, waiting for the first; when none came, see whether the pool still can."""
        events = super().wait(timeout)
        if not events:
            self._pools.look()
        return events
