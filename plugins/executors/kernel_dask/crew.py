"""The workers of a cluster as they come and go: how many threads, what they offer, which of them were lost."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from kernel_remote.engine import Loss

if TYPE_CHECKING:
    from kernel_dask.clusters import Connection
    from kernel_dask.tasks import Tasks
    from kernel_remote.engine import Inbox

__all__ = ["Crew"]

#: Where Dask's scheduler tells of workers.
_TOPIC = "all"


class _Anything(dict[str, float]):
    """What workers will offer that are yet to come: nobody knows."""

    def get(self, _key: str, _default: Any = None) -> float:
        return float("inf")


class Crew:
    """What the scheduler knows of its workers, kept up to date by its own events."""

    def __init__(self, connection: Connection, tasks: Tasks, inbox: Inbox) -> None:
        self._connection = connection
        self._tasks = tasks
        self._inbox = inbox
        #: By address. Replaced as a whole, so that any thread may read it.
        self._workers: dict[str, Mapping[str, Any]] = {}
        #: The addresses of those who did something for this run.
        self.used: set[str] = set()
        connection.client.subscribe_topic(_TOPIC, self._event)
        connection.ask(self._look)

    @property
    def threads(self) -> int:
        """How many jobs can run at once now."""
        return sum(worker["nthreads"] for worker in self._workers.values())

    def resources(self, wanted: Mapping[str, float]) -> dict[str, float]:
        """Return what is to be reserved, under the names that workers gave it.

        Threads and memory are not reserved where no worker declares them as resources.
        """
        names = {name.lower(): name for worker in self._workers.values() for name in worker["resources"]}
        return {
            names.get(name.lower(), name): amount
            for name, amount in wanted.items()
            if name.lower() in names or name.lower() not in {"cpu", "memory"}
        }

    def offers(self, resources: Mapping[str, float]) -> bool:
        """Say whether there is a worker now that has all of this."""
        return any(
            all(worker["resources"].get(name, 0.0) >= amount for name, amount in resources.items())
            for worker in self._workers.values()
        )

    def capacity(self) -> Mapping[str, float]:
        """Say what the biggest worker offers, of each thing; a name may be written in lower case."""
        workers = list(self._workers.values())
        if not workers:
            return _Anything()
        found: dict[str, float] = {}
        for worker in workers:
            own = {"cpu": worker["nthreads"], "memory": worker["memory_limit"] or float("inf")}
            declared = worker["resources"]
            for name, amount in (*own.items(), *declared.items(), *((key.lower(), declared[key]) for key in declared)):
                found[name] = max(found.get(name, 0.0), float(amount))
        return found

    def close(self) -> None:
        """Listen no more."""
        self._connection.client.unsubscribe_topic(_TOPIC)

    # -- in the client's thread -----------------------------------------------------------------------------------

    async def _look(self) -> None:
        identity: Mapping[str, Any] = await self._connection.client.scheduler.identity()
        self._workers = dict(identity["workers"])

    async def _event(self, event: tuple[float, Mapping[str, Any]]) -> None:
        told = event[1]
        if told["action"] == "add-worker":
            await self._look()
        elif told["action"] == "remove-worker":
            address, workers = told["worker"], dict(self._workers)
            gone = workers.pop(address, None)
            self._workers = workers
            if not told.get("expected") and (address in self.used or self._is_ours(told)):
                threads = gone["nthreads"] if gone is not None else 1
                self._inbox.put(partial(self._lost, address, list(told.get("processing-tasks", ())), threads))

    def _is_ours(self, told: Mapping[str, Any]) -> bool:
        keys = (*told.get("processing-tasks", ()), *told.get("lost-computed-tasks", ()))
        return any(isinstance(key, str) and key.endswith(self._tasks.run) for key in keys)

    # -- in the runner's thread -----------------------------------------------------------------------------------

    def _lost(self, address: str, keys: Collection[Any], threads: int) -> Loss:
        """Tell of a lost worker, and of the jobs that it was running: Dask runs them again."""
        running = self._tasks.lost(keys, threads)
        return Loss(running, f"the worker at {address} was lost", is_repeated=bool(running))
