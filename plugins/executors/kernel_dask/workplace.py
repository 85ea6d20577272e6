"""What happens in Dask's workers: the program of a run arrives there, jobs of it run, and reports are sent back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Sequence
from typing import Any

from distributed import WorkerPlugin, get_worker

from kernel.errors import KernelError
from kernel_remote.booth import forget, run_job

__all__ = ["Arrival", "drop", "serve"]

#: How long a job waits for its program (seconds); Dask brings it before the first job.
_PATIENCE_S = 30.0

_places: dict[str, _Place] = {}
_changed = threading.Condition()


class _Place:
    """One program in this process, which may hold several of Dask's workers."""

    def __init__(self, parcel: bytes) -> None:
        self.parcel = parcel
        self.workers = 0
        self.running = 0
        self.started: set[int] = set()
        self.dropped: set[int] = set()


class Arrival(WorkerPlugin):
    """Brings the program of a run to each worker, those that come later as well, and has it forgotten at the end.

    Not a task whose result jobs take as an argument: Dask would send all of them to the worker that has it.
    """

    def __init__(self, key: str, parcel: bytes) -> None:
        self.key = key
        self.parcel = parcel

    def setup(self, worker: Any) -> None:
        """Put the program where jobs find it; the first job takes it up."""
        with _changed:
            place = _places.setdefault(self.key, _Place(self.parcel))
            place.workers += 1
            _changed.notify_all()

    async def teardown(self, worker: Any) -> None:
        """Let go of the program: now, or when the last job has ended that runs."""
        with _changed:
            place = _places.get(self.key)
            if place is None:
                return
            place.workers -= 1
        await asyncio.to_thread(_leave, self.key, place)


def _leave(key: str, place: _Place) -> None:
    """Forget a program that no worker of this process wants and no job runs."""
    with _changed:
        if place.workers or place.running or _places.get(key) is not place:
            return
        del _places[key]
    forget(key)


def serve(key: str, number: int, turns: bytes, *held: Sequence[Any]) -> list[Any] | None:
    """Run a job; its large handles stay here (None: there are none), its report goes by the worker's event log.

    The topic is the program's key; an event is the job's number, its report, whether there are large handles, the
    worker's address.
    """
    place = _enter(key, number)
    if place is None:
        return None
    try:
        data, large = run_job(key, place.parcel, turns, *held)
    finally:
        with _changed:
            place.running -= 1
            over = not place.workers
        if over:
            _leave(key, place)
    if not over:  # else nobody waits for the report, and the scheduler would keep it
        worker: Any = get_worker()
        worker.log_event(key, (number, data, bool(large), worker.address))
    return list(large) or None


def _enter(key: str, number: int) -> _Place | None:
    """Note that a job starts; None when it was taken back. Raises KernelError where its program never came."""
    with _changed:
        if not _changed.wait_for(lambda: key in _places, _PATIENCE_S):
            raise KernelError(f"the program of the run did not come to this worker within {_PATIENCE_S:g} seconds")
        place = _places[key]
        if number in place.dropped:
            return None
        place.started.add(number)
        place.running += 1
        return place


def drop(key: str, numbers: Collection[int]) -> list[int]:
    """Take back the jobs that have not started in this process; return those that have."""
    with _changed:
        place = _places.get(key)
        if place is None:
            return []
        place.dropped.update(number for number in numbers if number not in place.started)
        return [number for number in numbers if number in place.started]
