"""Reports of jobs, as they come by the event log of Dask's workers: before, and without, the results of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from kernel_remote.engine import Answer

if TYPE_CHECKING:
    from kernel_dask.clusters import Connection
    from kernel_dask.crew import Crew
    from kernel_dask.tasks import Tasks
    from kernel_remote.engine import Inbox, News

__all__ = ["Reports"]

#: A scheduler keeps all events. After so many bytes of reports it is told to drop those of the run.
_MOST_KEPT = 1 << 26

#: A job's number, its report, whether it has large handles, the address of its worker.
_Event = tuple[int, bytes, bool, str]


class Reports:
    """Listens to the topic of a run."""

    def __init__(self, connection: Connection, tasks: Tasks, crew: Crew, inbox: Inbox) -> None:
        self._connection = connection
        self._topic = tasks.run
        self._tasks = tasks
        self._crew = crew
        self._inbox = inbox
        self._kept = 0
        connection.client.subscribe_topic(self._topic, self._came)

    def _came(self, event: tuple[float, _Event]) -> None:
        """Hand a report on, in the client's thread."""
        number, data, has_large, address = event[1]
        self._crew.used.add(address)
        self._inbox.put(partial(self._answer, number, data, has_large))
        self._kept += len(data)
        if self._kept > _MOST_KEPT:
            self._kept = 0
            client = self._connection.client
            client.loop.add_callback(client._run_on_scheduler, _dropping(self._topic, for_good=False))  # noqa: SLF001 - the public one is not for this thread

    def _answer(self, number: int, data: bytes, has_large: bool) -> News:
        starts, future = self._tasks.starts(number), self._tasks.answered(number)
        return Answer(number, data, future if has_large else None, starts=starts)

    def look_for(self, number: int) -> News | None:
        """Ask the scheduler for a report that never came; None when it has none."""
        events: Sequence[tuple[float, _Event]] = self._connection.ask(
            self._connection.client.scheduler.events, topic=self._topic
        )
        for _, (each, data, has_large, _) in events:
            if each == number:
                return self._answer(number, data, has_large)
        return None

    def close(self) -> None:
        """Have the scheduler forget the topic, and who listens to it.

        The client's own way to unsubscribe may get there later, and would make the topic anew.
        """
        client = self._connection.client
        client._event_handlers[self._topic] = _ignore  # noqa: SLF001 - as said
        self._connection.ask(client._run_on_scheduler, _dropping(self._topic, for_good=True))  # noqa: SLF001 - the public one waits for ever


def _ignore(_event: object) -> None:
    """Hear what is still on its way."""


def _dropping(topic: str, *, for_good: bool) -> Any:
    """Return what drops the events of a topic in the scheduler. It goes by value: the kernel need not be there."""

    def drop_events(dask_scheduler: Any = None) -> None:
        broker = getattr(dask_scheduler, "_broker", None)
        topics = getattr(broker, "_topics", {})
        if topic in topics:
            topics[topic].events.clear()
            if for_good:
                del topics[topic]

    return drop_events
