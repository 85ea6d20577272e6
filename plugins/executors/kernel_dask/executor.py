"""The runner's side of a Dask cluster."""

from __future__ import annotations

from attrs import evolve

from kernel.errors import ConfigError
from kernel.specs.executor import Capabilities, Reach
from kernel_dask.clusters import Place, check_installed
from kernel_dask.engine import DaskEngine
from kernel_remote.executor import RemoteExecutor

__all__ = ["DaskExecutor"]


class DaskExecutor(RemoteExecutor):
    """Runs nodes on the cluster whose scheduler has this `address` or wrote this `scheduler_file`.

    Without either, a cluster of processes is made on this machine and ended with the executor. `timeout` is how long
    (seconds) the cluster is waited for. `adaptive` is for clusters that grow with what there is to do: how many threads
    it may come to, so that it is given as much work as those could do. Raises ConfigError for options that do not fit,
    and where `distributed` is not installed.
    """

    capabilities = Capabilities(
        reach=Reach.MACHINE,
        chains=True,
        recovers=True,
        policies=frozenset({"resources"}),
        sizes=True,
        prompt=False,
    )

    def __init__(
        self,
        address: str | None = None,
        scheduler_file: str | None = None,
        timeout: float | str = 30.0,
        adaptive: int | str = 0,
    ) -> None:
        if address and scheduler_file:
            raise ConfigError(
                f"the executor 'dask' takes an address or a scheduler_file, and got both: "
                f"{address!r} and {scheduler_file!r}"
            )
        check_installed()
        place = Place(address, scheduler_file, _number("timeout", timeout))
        super().__init__(DaskEngine(place, int(_number("adaptive", adaptive))))
        if place.is_ours:  # a cluster made here is bound by the CPUs that are here
            self.capabilities = evolve(self.capabilities, sizes=False)


def _number(option: str, value: float | str) -> float:
    """Return an option that is a number; those of the command line are texts."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ConfigError(f"the option {option!r} of the executor 'dask' is a number, not {value!r}")
    return number
