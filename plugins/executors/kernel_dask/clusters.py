"""Finds the cluster of a run, or makes one, and connects to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import define, field

from kernel.errors import ConfigError
from kernel_dask.own import OwnCluster

__all__ = ["PATIENCE_S", "Connection", "Place", "check_installed"]

#: How long a cluster may take to answer a question (seconds).
PATIENCE_S = 10.0
#: How long a client may take to say good-bye (seconds).
_CLOSING_S = 5.0
#: How often it is looked whether a scheduler has written its file (seconds).
_LOOK_S = 0.05


def check_installed() -> None:
    """Raise a ConfigError that says what to install where Dask's scheduler is missing."""
    try:
        is_here = find_spec("distributed") is not None
    except ImportError:
        is_here = False
    if not is_here:
        raise ConfigError(
            "the executor 'dask' needs distributed, which is not installed: pip install 'kernel-pipelines[dask]'"
        )


@define(eq=False)
class Connection:
    """A client of a cluster. `name` is the scheduler's address, `own` the cluster if it was made here."""

    client: Any
    name: str
    own: OwnCluster | None = None

    def ask(self, question: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """Wait for what a coroutine of the client says, not for ever. Raises TimeoutError, which is an OSError."""
        return self.client.sync(question, *arguments, callback_timeout=PATIENCE_S, **options)

    def serves(self, workers: int) -> bool:
        """Say whether this will do for a run on so many workers: nothing was lost, and what was made here is enough."""
        return self.client.status == "running" and (self.own is None or self.own.workers >= workers)

    def close(self, *, cancel: bool) -> None:
        """Close the client; end the cluster if it is ours, with `cancel` at once."""
        try:
            with suppress(TimeoutError):  # the scheduler is gone
                self.client.close(timeout=_CLOSING_S)
        finally:
            if self.own is not None:
                self.own.close(cancel=cancel)


@define(eq=False)
class Place:
    """Where the cluster is: at an address, where a file says, or (neither given) yet to be made."""

    address: str | None
    scheduler_file: str | None
    timeout: float
    is_ours: bool = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.is_ours = not (self.address or self.scheduler_file)

    def connect(self, workers: int) -> Connection:
        """Connect; a cluster that is made here gets so many workers. Raises ConfigError when nobody answers."""
        if self.is_ours:
            own = OwnCluster(workers, self.timeout)
            try:
                return Connection(self._client(own.address), own.address, own)
            except BaseException:
                own.close(cancel=True)
                raise
        address = self.address or self._address_in_file()
        return Connection(self._client(address), address)

    def _client(self, address: str) -> Any:
        distributed: Any = import_module("distributed")  # slow to load: only when a run starts
        try:
            return distributed.Client(address, timeout=self.timeout, set_as_default=False, name="kernel")
        except (OSError, ValueError, KeyError) as error:  # nobody there, no address at all, an unknown protocol
            raise ConfigError(
                f"no Dask scheduler answers at {address!r} within {self.timeout:g} seconds: "
                f"{type(error).__name__}: {error}"
            ) from error

    def _address_in_file(self) -> str:
        """Return the address that the scheduler wrote; a cluster that is being started may write it soon."""
        path = Path(self.scheduler_file or "")
        until = time.monotonic() + self.timeout
        while True:
            try:
                return str(json.loads(path.read_text(encoding="utf-8"))["address"])
            except (OSError, ValueError, KeyError, TypeError) as error:  # not there yet, or half written
                if time.monotonic() > until:
                    raise ConfigError(
                        f"the scheduler file {str(path)!r} tells no address within {self.timeout:g} seconds: "
                        f"{type(error).__name__}: {error}"
                    ) from error
            time.sleep(_LOOK_S)
