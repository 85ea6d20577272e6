"""Jobs as tasks of Dask: references to what they read are futures, so that large values stay in the cluster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kernel.errors import DataLost, KernelError
from kernel_dask.crew import Crew
from kernel_dask.reports import Reports
from kernel_dask.tasks import Tasks
from kernel_dask.watch import Watch

if TYPE_CHECKING:
    from kernel_dask.clusters import Connection, Place
    from kernel_remote.engine import Boot, Inbox, Job

__all__ = ["DaskEngine"]


class DaskEngine:
    """A client of one cluster, connected when a run starts and kept for the next."""

    alone = False
    own = False
    blames = True
    batch_s = 10e-3

    def __init__(self, place: Place, adaptive: int) -> None:
        self._place = place
        self._adaptive = adaptive
        self._connection: Connection | None = None
        self._workplace: Any = None
        self._boot: Boot | None = None
        self._workers = 0
        self._tasks: Tasks | None = None
        self._reports: Reports | None = None
        self._crew: Crew | None = None
        self._watch: Watch | None = None

    # -- a run ----------------------------------------------------------------------------------------------------

    def open(self, boot: Boot, inbox: Inbox, workers: int) -> int:
        """Connect unless that is done, and have every worker, also later ones, get the program."""
        self._leave(self._connection)
        if self._connection is not None and not self._connection.serves(workers):
            self.close(cancel=False)
        if self._connection is None:
            self._connection = self._place.connect(workers)
            self._workplace = import_module("kernel_dask.workplace")  # it imports distributed
        connection = self._connection
        self._workers = workers
        self._tasks = Tasks(connection.client, boot.key, self._workplace.serve)
        self._crew = Crew(connection, self._tasks, inbox)
        self._reports = Reports(connection, self._tasks, self._crew, inbox)
        self._watch = Watch(connection, self._tasks, self._reports, self._crew, inbox)
        self._boot = boot  # from here on there is something to leave
        self._bring(connection, boot)
        return max(1, min(self._crew.threads or workers, workers))

    def _bring(self, connection: Connection, boot: Boot) -> None:
        try:
            connection.client.register_plugin(self._workplace.Arrival(boot.key, boot.parcel), name=boot.key)
        except ImportError as error:
            raise KernelError(
                f"the workers of the Dask cluster at {connection.name} cannot take up the run: {error}. "
                f"Install kernel-pipelines where they run"
            ) from error
        except OSError:  # a worker that ended meanwhile; the scheduler has the program for all that come
            return

    def _leave(self, connection: Connection | None) -> None:
        """Have the cluster forget the run before: its tasks, its program, its reports."""
        boot, self._boot = self._boot, None
        if boot is None:
            return
        tasks, reports = self._tasks, self._reports
        assert connection is not None
        assert tasks is not None
        assert reports is not None
        assert self._watch is not None
        assert self._crew is not None
        self._watch.close()
        client = connection.client
        if client.status != "running":  # the scheduler is gone, and nobody would answer
            return
        steps: Sequence[Callable[[], Any]] = (
            tasks.close,
            partial(connection.ask, client._unregister_worker_plugin, boot.key),  # noqa: SLF001 - the public one waits for ever
            self._crew.close,
            reports.close,
        )
        for step in steps:
            with suppress(Exception):  # a cluster that is gone has forgotten everything, whatever it says of it
                step()

    @property
    def depth(self) -> int:
        """One job that runs and one behind it, since a task takes longer to arrive than many nodes take to run.

        On a cluster that has more threads than the run may use, what waits would run there.
        """
        return 2 if self._crew is None or self._crew.threads <= self._workers else 1

    def slots(self) -> int:
        """Return how many threads the run may use now; one at least, for some clusters grow only when there is work."""
        assert self._crew is not None
        return max(1, min(self._workers, max(self._crew.threads, self._adaptive)))

    # -- jobs -----------------------------------------------------------------------------------------------------

    def send(self, job: Job) -> None:
        """Submit a job."""
        assert self._tasks is not None
        assert self._crew is not None
        self._tasks.submit(job, self._crew.resources(job.resources))

    def recall(self, numbers: Collection[int], *, kill: bool) -> Collection[int]:
        """Take back what no worker has started: they are asked, and told not to start it."""
        del kill  # what runs in a thread cannot be ended
        connection, tasks, boot = self._connection, self._tasks, self._boot
        if connection is None or tasks is None or boot is None:
            return []
        tasks.recalled.update(numbers)
        try:
            started = self._drop(connection, boot, numbers)
        except OSError:  # not all answer in time: what becomes of these jobs will be told, be it that they never start
            return []
        taken = [number for number in numbers if number not in started]
        again: Collection[int] = ()
        with suppress(OSError):  # they are let go already; what has started nevertheless comes to nothing
            tasks.cancel(taken)
            again = self._drop(connection, boot, taken)  # by a worker that came between the question and this
        return [number for number in taken if number not in again]

    def _drop(self, connection: Connection, boot: Boot, numbers: Collection[int]) -> set[int]:
        if not numbers:
            return set()
        run = partial(connection.client._run, on_error="ignore")  # noqa: SLF001 - the public one waits for ever
        answers: Mapping[str, Sequence[int]] = connection.ask(run, self._workplace.drop, boot.key, list(numbers))
        return {number for started in answers.values() for number in started}

    def fetch(self, held: Any) -> Sequence[Any]:
        """Bring a list of large handles here."""
        try:
            found: Sequence[Any] | None = held.result()
        except Exception as error:  # whatever Dask says of a task that it cannot run again
            raise DataLost([], f"{type(error).__name__}: {error}") from error
        return found or ()  # it was made again, and nothing came of it

    def capacity(self) -> Mapping[str, float]:
        """Say what the biggest worker offers; where none is there yet, anything."""
        assert self._crew is not None
        return self._crew.capacity()

    def close(self, *, cancel: bool) -> None:
        """Leave a cluster as it was found; end one that was made here, with `cancel` at once."""
        connection, self._connection = self._connection, None
        try:
            if not (cancel and self._place.is_ours):  # what is about to be killed need not forget anything
                self._leave(connection)
            elif self._watch is not None:
                self._watch.close()
        finally:
            self._boot = None
            if connection is not None:
                connection.close(cancel=cancel)
