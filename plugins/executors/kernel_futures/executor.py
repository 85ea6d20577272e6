"""The runner's side of a pool of futures."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor as Pool
from typing import Any

from kernel.specs.executor import Capabilities, Reach
from kernel_futures.factory import find_factory
from kernel_futures.pool import PoolEngine
from kernel_remote.executor import RemoteExecutor

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
        super().__init__(PoolEngine(find_factory(factory, options)))
