"""Jobs as tasks of Ray: what they read goes by reference, and Ray repeats those whose worker was lost."""

from __future__ import annotations

import pickle
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from heapq import heappop, heappush
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from attrs import define

from kernel.errors import DataLost, KernelError
from kernel_ray.cluster import Cluster
from kernel_ray.connection import check_settings, connect, disconnect
from kernel_ray.library import exceptions, ray
from kernel_ray.limits import Limits
from kernel_ray.verdicts import gone, loss
from kernel_ray.work import work
from kernel_remote.engine import Answer, Broken, DataGone, Loss, TimedOut

if TYPE_CHECKING:
    from concurrent.futures import Future

    from kernel_ray.kept import Kept
    from kernel_ray.work import Returned
    from kernel_remote.engine import Boot, Inbox, Job, News

__all__ = ["RayEngine"]

#: What a node may ask for, and how Ray calls it; the rest are custom resources.
_OPTIONS = {"cpu": "num_cpus", "gpu": "num_gpus", "memory": "memory"}


@define(eq=False)
class _Running:
    """A job that is under way, its slot, and references to what it will return: its report, its large handles."""

    job: Job
    slot: int
    report: Any
    large: Any
    is_overdue: bool = False


class RayEngine:
    """Tasks of the cluster to which this process is connected. A slot has one job: a second could not be recalled."""

    alone = True
    own = False
    blames = True
    depth = 1
    batch_s = 5e-3

    def __init__(self, address: str | None, settings: Mapping[str, Any]) -> None:
        check_settings(settings)
        self._address, self._settings = address, settings
        self._is_open = self._is_ours = False
        self._workers = self._started = 0
        self._cluster = Cluster()
        self._key, self._parcel = "", [None]
        self._inbox: Inbox = SimpleQueue()
        self._running: dict[int, _Running] = {}
        self._free_slots: list[int] = []
        self._work: Any = ray.remote(work)
        self._variants: dict[Any, Any] = {}
        #: The jobs of which it is known that Ray ran them again, and with which try.
        self._told: set[tuple[int, int]] = set()
        self._limits = Limits(self._exceeded)

    def open(self, boot: Boot, inbox: Inbox, workers: int) -> int:
        """Connect, and put the program where every worker can read it."""
        if self._is_open and not ray.is_initialized():
            self._is_open = False  # somebody ended it
        if self._is_ours and self._is_open and workers > self._started:
            self.close(cancel=False)
        if not self._is_open:
            self._is_ours = connect(self._address, self._settings, workers)
            self._is_open, self._started, self._cluster = True, workers, Cluster()
        self._inbox, self._running, self._workers = inbox, {}, workers
        self._free_slots, self._variants, self._told = [], {}, set()
        self._key, self._parcel = boot.key, [ray.put(boot.parcel)]
        return self.slots()

    def slots(self) -> int:
        """Return how many CPUs the cluster has now, but no more than were asked for."""
        return min(self._cluster.slots(), self._workers)

    def capacity(self) -> Mapping[str, float]:
        """Say what the biggest machine has of each resource."""
        return self._cluster.most()

    # -- out ------------------------------------------------------------------------------------------------------

    def send(self, job: Job) -> None:
        """Start a task; Ray finds a place for it."""
        if job.resources and not self._cluster.fits(job.resources):
            error = KernelError("no machine of the cluster has all that it asks for: it would wait for ever")
            self._inbox.put(Broken(job.number, error))
            return
        try:
            prefix = self._limits.prefix if job.timeout is not None else ""
            packed = pickle.dumps((self._key, job.number, prefix, job.turns), 5)
            report, large = self._variant(job).remote(self._parcel, packed, *job.held)
        except Exception as error:  # whatever Ray says when it cannot take a task
            self._inbox.put(Broken(job.number, error))
            return
        slot = heappop(self._free_slots) if self._free_slots else len(self._running)
        self._running[job.number] = _Running(job, slot, report, large)
        if job.timeout is not None:
            self._limits.watch(job.number, job.timeout)
        future: Future[Returned] = report.future()
        future.add_done_callback(partial(self._done, job.number))

    def _variant(self, job: Job) -> Any:
        """Return the remote function with what this job needs; each is made once."""
        key = (job.name, job.repeats, tuple(job.resources.items()))
        found = self._variants.get(key)
        if found is None:
            needs = {option: job.resources[name] for name, option in _OPTIONS.items() if name in job.resources}
            custom = {name: amount for name, amount in job.resources.items() if name not in _OPTIONS}
            found = self._variants[key] = self._work.options(
                num_returns=2, name=job.name, max_retries=job.repeats, resources=custom, **{"num_cpus": 1, **needs}
            )
        return found

    def recall(self, numbers: Collection[int], *, kill: bool) -> Collection[int]:
        """End what runs, if that is wanted; whether a task has started, only Ray knows, so none is given back."""
        if kill:
            for number in numbers:
                self._end(number)
        return ()

    def _end(self, number: int) -> None:
        running = self._running.get(number)
        if running is not None:
            ray.cancel(running.report, force=True)

    def _exceeded(self, number: int) -> None:
        """Have the runner's thread end a job that took too long; this is the thread of the limits."""
        self._inbox.put(partial(self._stop, number))

    def _stop(self, number: int) -> None:
        running = self._running.get(number)
        if running is not None:
            running.is_overdue = True
            self._end(number)

    # -- back -----------------------------------------------------------------------------------------------------

    def _done(self, number: int, future: Future[Returned]) -> None:
        """Have the runner's thread look at what a task has come to; this is a thread of Ray's."""
        self._inbox.put(partial(self._settled, number, future))

    def _settled(self, number: int, future: Future[Returned]) -> News | None:
        running = self._running.pop(number, None)
        if running is None:
            return None  # of a run that is over
        heappush(self._free_slots, running.slot)
        if running.job.timeout is not None:
            self._limits.forget(number)
        error = future.exception()
        if error is not None:
            return self._failed(running, error)
        returned = future.result()
        data, tries, again = (returned, 0, ()) if isinstance(returned, bytes) else returned
        for other, before, report in again:
            if (other, before) not in self._told:  # each reader of what it made says so
                self._told.add((other, before))
                self._inbox.put(Answer(other, report, slot=running.slot))
        answer = Answer(number, data, running.large, slot=running.slot)
        if not tries:
            return answer
        self._told.add((number, tries))
        self._inbox.put(answer)
        return Loss([number], "its process or its machine was lost", starts=tries, is_repeated=True)

    def _failed(self, running: _Running, error: BaseException) -> News:
        job = running.job
        if running.is_overdue and job.timeout is not None:
            return TimedOut(job.number, job.timeout)
        if isinstance(error, exceptions.TaskCancelledError):
            return Loss([job.number], "it was cancelled")
        if (how := loss(error)) is not None:
            return Loss([job.number], how, starts=job.repeats + 1)
        if (lost := gone(error)) is not None:
            return DataGone(job.number, lost)
        return Broken(job.number, getattr(error, "cause", None) or error)

    def fetch(self, held: Any) -> Sequence[Any]:
        """Bring large handles here; raises `DataLost` when Ray cannot make them again."""
        try:
            kept: Kept | None = ray.get(held)
        except exceptions.RayError as error:
            raise DataLost((), gone(error) or str(error).partition("\n")[0]) from error
        return kept.own() if kept is not None else ()  # it was made again, and nothing came of it

    def close(self, *, cancel: bool) -> None:
        """Give the connection back if it was made here, and end what still runs."""
        if not self._is_open:
            return
        self._is_open = False
        if ray.is_initialized():
            self.recall(list(self._running), kill=True)
            self._limits.close()
        self._running.clear()
        self._parcel = [None]
        if self._is_ours:
            disconnect()
