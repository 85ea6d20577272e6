"""Looks at what becomes of tasks beside their reports: lost workers, lost data, a cluster that is gone or empty."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from kernel.errors import DataLost, KernelError
from kernel_remote.engine import Broken, DataGone, Loss, Unstarted

if TYPE_CHECKING:
    from kernel_dask.clusters import Connection
    from kernel_dask.crew import Crew
    from kernel_dask.reports import Reports
    from kernel_dask.tasks import Tasks
    from kernel_remote.engine import Inbox, News

__all__ = ["Watch"]

#: How often the states of futures are looked at (seconds). They are plain attributes, so this costs less than a
#: callback for each task, which would need a thread, too.
_LOOK_S = 0.05
#: How long after the end of a task its report may come (seconds).
_GRACE_S = 1.0
#: Tasks that Dask gives up together are told of one after another, within this (seconds).
_TOGETHER_S = 0.1
#: After how long without a worker that is said (seconds).
_ABSENCE_S = 5.0

_log = logging.getLogger("kernel")


class Watch:
    """Puts into the inbox what there is to be said of tasks that no report will come from."""

    def __init__(self, connection: Connection, tasks: Tasks, reports: Reports, crew: Crew, inbox: Inbox) -> None:
        self._connection = connection
        self._tasks = tasks
        self._reports = reports
        self._crew = crew
        self._inbox = inbox
        #: Since when a task is known to have ended, by its job's number.
        self._ended: dict[int, float] = {}
        #: Since when something is under way that no worker can run, and whether that has been said.
        self._stuck: float | None = None
        self._is_said = False
        ioloop: Any = import_module("tornado.ioloop")
        self._clock = ioloop.PeriodicCallback(self._look, _LOOK_S * 1000)
        connection.client.loop.add_callback(self._clock.start)

    def close(self) -> None:
        """Look no more."""
        self._connection.client.loop.add_callback(self._clock.stop)

    # -- in the client's thread -----------------------------------------------------------------------------------

    def _look(self) -> None:
        under_way = list(self._tasks.under_way.items())
        for number, (_, future) in under_way:
            if future.status != "pending":
                self._inbox.put(partial(self._over, number, future))
        if self._connection.client.status == "closed":
            self._inbox.put(self._cut_off)
        stuck = [job.name for number, (job, _) in under_way if not self._crew.offers(self._tasks.reserved(number))]
        if not stuck:
            self._stuck, self._is_said = None, False
            return
        now = time.monotonic()
        if self._stuck is None:
            self._stuck = now
        elif now - self._stuck > _ABSENCE_S and not self._is_said:
            self._is_said = True
            self._inbox.put(partial(self._say_stuck, stuck))

    # -- in the runner's thread -----------------------------------------------------------------------------------

    def _over(self, number: int, future: Any) -> News | None:
        """Say what became of a task that is over, if its report has not done so."""
        if not self._tasks.has(number, future) or future.status == "pending":
            return None  # it has been answered, or runs again
        since = self._ended.setdefault(number, time.monotonic())
        waited = time.monotonic() - since
        news: News | None
        if future.status == "finished":
            if waited < _GRACE_S:
                return None
            self._ended.pop(number)
            news = self._reports.look_for(number)
            if news is None and number in self._tasks.recalled:
                return self._given_up(number, Unstarted(number))
            return news or self._given_up(number, Broken(number, KernelError("its report was lost on the way")))
        if waited < _TOGETHER_S:
            return None
        self._ended.pop(number)
        return self._failed(number, future)

    def _failed(self, number: int, future: Any) -> News | None:
        if future.status != "error":
            return self._cancelled(number, future)
        error = future.exception()
        if isinstance(error, DataLost):
            return self._given_up(number, DataGone(number, error.how))
        if type(error).__name__ != "KilledWorker":
            return self._given_up(number, Broken(number, error))
        if error.task != future.key:
            return self._given_up(number, DataGone(number, _first_line(error)))
        if number != min(self._lost_with(error)):
            # Dask suspects all tasks that a lost worker had, those that waited there too. Of those it gave up at one
            # time the first was running; it goes by the order in which they were submitted.
            self._tasks.submit_again(number)
            return None
        how = f"Dask gave it up: its workers died, the last one at {error.last_worker.address}"
        return self._given_up(number, Loss([number], how, starts=error.allowed_failures + 1))

    def _lost_with(self, error: Any) -> list[int]:
        """List the jobs that were given up when this worker died and are not yet told of."""
        lost: list[int] = []
        for number, (_, future) in self._tasks.under_way.items():
            if future.status == "error":
                other = future.exception()
                same = type(other).__name__ == "KilledWorker" and other.task == future.key
                if same and other.last_worker.address == error.last_worker.address:
                    lost.append(number)
        return lost

    def _cancelled(self, number: int, future: Any) -> News | None:
        """Tell a task that Dask dropped from all of them: then the scheduler is gone, or was started anew."""
        error = future.exception()
        if getattr(error, "reason", None) in {"scheduler-connection-lost", "scheduler-restart"}:
            return self._cut_off()
        if self._connection.client.status != "running":
            return self._cut_off()
        return self._given_up(number, DataGone(number, _first_line(error) or f"Dask says {future.status}"))

    def _given_up(self, number: int, news: News) -> News:
        self._tasks.answered(number)
        return news

    def _cut_off(self) -> News | None:
        raise KernelError(f"the Dask scheduler at {self._connection.name} was lost, and all that its cluster kept")

    def _say_stuck(self, names: Sequence[str]) -> None:
        _log.warning(
            "The Dask cluster at %s has no worker %s: %s until one comes.",
            self._connection.name,
            "that offers what is asked for" if self._crew.threads else "now",
            f"node {names[0]!r} waits"
            if len(names) == 1
            else f"{len(names)} jobs wait, the first for node {names[0]!r}",
        )


def _first_line(error: BaseException | None) -> str:
    return str(error or "").strip().partition("\n")[0].rstrip(".")
