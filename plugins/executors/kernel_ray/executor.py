"""The runner's side of Ray."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kernel.errors import ConfigError
from kernel.specs.executor import Capabilities, Reach
from kernel_remote.executor import RemoteExecutor

if TYPE_CHECKING:
    from kernel_remote.engine import Engine

__all__ = ["RayExecutor"]


class RayExecutor(RemoteExecutor):
    """Runs nodes as tasks of a Ray cluster.

    `address` is the cluster's, as `ray.init` takes it; None: what the variable RAY_ADDRESS says, else an instance on
    this machine, which ends with the runner. A process that has called `ray.init` itself keeps what it has. `settings`
    are further arguments of `ray.init`. Values between nodes stay in the cluster. Raises ConfigError where Ray is not
    installed, and for settings that it does not know.
    """

    capabilities = Capabilities(
        reach=Reach.MACHINE,
        chains=True,
        kill=True,
        recovers=True,
        policies=frozenset({"resources"}),
        sizes=True,
        prompt=False,
        farewell=False,
    )

    def __init__(self, address: str | None = None, **settings: Any) -> None:
        super().__init__(_engine(address, {name: _plain(value) for name, value in settings.items()}))


def _engine(address: str | None, settings: Mapping[str, Any]) -> Engine:
    try:
        from kernel_ray.engine import RayEngine  # noqa: PLC0415 - an extra, and it takes seconds to import
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "ray":
            raise
        raise ConfigError("the executor 'ray' needs Ray: pip install 'kernel-pipelines[ray]'") from error
    return RayEngine(address, settings)


def _plain(value: Any) -> Any:
    """Return what a text stands for: options of the command line are texts. What is no JSON stays a text."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError:
        return value
