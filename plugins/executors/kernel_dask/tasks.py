"""Jobs that are with Dask, each with its future."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel_remote.engine import Job

__all__ = ["Tasks"]


class Tasks:
    """Submits jobs and keeps their futures until they are answered. Changed by the runner's thread only."""

    def __init__(self, client: Any, run: str, serve: Callable[..., Any]) -> None:
        self._client = client
        self.run = run
        self._serve = serve
        self.under_way: dict[int, tuple[Job, Any]] = {}
        #: What was to be reserved for those jobs that asked for something.
        self._resources: dict[int, Mapping[str, float]] = {}
        #: Jobs that workers were asked not to start.
        self.recalled: set[int] = set()
        self._again = 0
        #: How often a job was started in vain, of those that were.
        self._starts: dict[int, int] = {}

    def submit(self, job: Job, resources: Mapping[str, float]) -> None:
        """Hand a job to Dask."""
        if resources:
            self._resources[job.number] = resources
        self._submit(job, f"{job.name}-{job.number}-{self.run}")

    def submit_again(self, number: int) -> None:
        """Hand a job to Dask as another task: one that Dask gave up though it was not to blame."""
        job, _ = self.under_way[number]
        self._again += 1
        self._submit(job, f"{job.name}-{number}-{self._again}-{self.run}")

    def _submit(self, job: Job, key: str) -> None:
        future = self._client.submit(
            self._serve,
            self.run,
            job.number,
            job.turns,
            *job.held,
            key=key,
            pure=False,
            resources=self._resources.get(job.number),
            # Each task comes after those before it, also those of others: with one's own priorities a run would go
            # before, or behind, all else that the cluster has to do.
            fifo_timeout=0,
        )
        self.under_way[job.number] = (job, future)

    def reserved(self, number: int) -> Mapping[str, float]:
        """Return what is reserved for a job."""
        return self._resources.get(number, {})

    def has(self, number: int, future: Any) -> bool:
        """Say whether this is what a job waits for."""
        return number in self.under_way and self.under_way[number][1] is future

    def lost(self, keys: Collection[Any], threads: int) -> list[int]:
        """Return which jobs a lost worker was running, of the tasks that it had: the first that were submitted."""
        had = sorted(number for number, (_, future) in self.under_way.items() if future.key in keys)
        for number in had[:threads]:
            self._starts[number] = self.starts(number) + 1
        return had[:threads]

    def starts(self, number: int) -> int:
        """Say how often a job was started in vain."""
        return self._starts.get(number, 0)

    def answered(self, number: int) -> Any:
        """Let go of a job; return its future, or None for one that was answered before."""
        _, future = self.under_way.pop(number, (None, None))
        self._resources.pop(number, None)
        self._starts.pop(number, None)
        return future

    def cancel(self, numbers: Collection[int]) -> None:
        """Have Dask drop jobs, and let go of them."""
        futures = [future for number in numbers if (future := self.answered(number)) is not None]
        if futures:
            self._client.cancel(futures)

    def close(self) -> None:
        """Have Dask drop all that is left."""
        self.cancel(list(self.under_way))
