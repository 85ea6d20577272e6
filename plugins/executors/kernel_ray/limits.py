"""Time limits: who has started, and who has run for too long."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from uuid import uuid4

from attrs import define

from kernel_ray.library import drop_marks, marks

__all__ = ["Limits"]

#: How often the cluster's head is asked who has started, while a job with a limit is under way (seconds).
_POLL_S = 0.05


@define(eq=False)
class _Watched:
    limit: float
    tries: int = -1
    due: float = float("inf")


class Limits:
    """Calls `overdue` with the number of each job that ran longer than its limit, from a thread that lives meanwhile.

    A job counts from its start, which may come long after it was sent; so does each new try.
    """

    def __init__(self, overdue: Callable[[int], None]) -> None:
        self.prefix = f"{uuid4().hex}/"
        self._overdue = overdue
        self._jobs: dict[int, _Watched] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def watch(self, number: int, limit: float) -> None:
        """Begin to look after a job; `limit` is in seconds."""
        with self._changed:
            self._jobs[number] = _Watched(limit)
            if self._thread is None:
                self._thread = threading.Thread(target=self._look_after, name="kernel-ray-limits", daemon=True)
                self._thread.start()

    def forget(self, number: int) -> None:
        """Let a job be: it has ended."""
        with self._changed:
            self._jobs.pop(number, None)
            self._changed.notify()

    def close(self) -> None:
        """Let all jobs be, and the thread end."""
        with self._changed:
            self._jobs.clear()
            self._changed.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _look_after(self) -> None:
        while True:
            with self._changed:
                if not self._jobs:
                    with suppress(Exception):  # they are small, and their cluster may be gone
                        drop_marks(self.prefix)  # before anybody can be watched anew
                    self._thread = None
                    return
                for number in [number for number, job in self._jobs.items() if job.due <= monotonic()]:
                    del self._jobs[number]
                    self._overdue(number)
                self._changed.wait(_POLL_S)
            with suppress(Exception):  # the cluster's head may be away for a moment: it is asked again
                self._hear()

    def _hear(self) -> None:
        said = marks(self.prefix)
        now = monotonic()
        with self._changed:
            for each in said:
                number, _, tries = each.removeprefix(self.prefix).partition("/")
                job = self._jobs.get(int(number))
                if job is not None and int(tries) > job.tries:
                    job.tries, job.due = int(tries), now + job.limit
