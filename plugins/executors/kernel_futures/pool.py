"""Jobs on a pool of futures: sends the program to each worker once, and makes a new pool when one breaks."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Future
from concurrent.futures import Executor as Pool
from functools import partial
from queue import SimpleQueue
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from kernel.errors import KernelError
from kernel_futures.processes import end_at_once, end_in_time, has_dead_process, has_processes, prepare
from kernel_remote.booth import MISSING, run_job
from kernel_remote.engine import Answer, Broken, Loss

if TYPE_CHECKING:
    from kernel_remote.engine import Boot, Inbox, Job, News

__all__ = ["PoolEngine"]

_Returned = tuple[bytes, Sequence[Any]]

#: What a pool says to a job when it is broken, or breaks while it takes it: its pipes are closed under its hands.
_BREAKING = (BrokenExecutor, OSError)
#: A pool has so many seconds to say that it is broken when one of its processes has died.
_TELLS_S = 2.0
#: How long a worker is given to start, where it is tried whether any can (seconds).
_STARTS_S = 30.0
#: Where loky says how its processes ended: "The exit codes of the workers are {SIGKILL(-9)}".
_CODES = re.compile(r"exit codes? of the workers (?:is|are) \{([^}\n]*)\}")


class PoolEngine:
    """A pool, made when a run starts and kept for the next. A worker has one job: a second could not be recalled."""

    alone = True
    own = True
    #: When a worker dies, the whole pool is broken, and every job that was under way with it.
    blames = False
    depth = 1
    batch_s = 2e-3

    def __init__(self, factory: Callable[[int], Pool]) -> None:
        self._factory = factory
        self._pool: Pool | None = None
        self._workers = 0
        #: A worker of this executor has once answered: they can start.
        self._has_answered = False
        self._boot: Boot | None = None
        #: How many jobs are still to bring the program along unasked: as many as there are workers.
        self._parcels = 0
        self._inbox: Inbox = SimpleQueue()
        #: Each with the pool that has it: what becomes of a pool that was replaced is no matter of the next one's jobs.
        self._jobs: dict[Future[_Returned], tuple[Job, Pool]] = {}
        #: When a process of the pool was first found dead, without a word of the pool.
        self._dead_since: float | None = None

    def open(self, boot: Boot, inbox: Inbox, workers: int) -> int:
        """Make the pool, unless there is one of that size."""
        if self._pool is not None and self._workers != workers:
            self.close(cancel=False)
        self._boot, self._inbox, self._jobs, self._workers = boot, inbox, {}, workers
        if self._pool is None:
            self._pool = self._new_pool()
        self._parcels = slots = self.slots()
        return slots

    def _new_pool(self) -> Pool:
        pool = self._factory(self._workers)
        prepare(pool)
        return pool

    def slots(self) -> int:
        """Return how many workers the pool says it has, else how many it was asked for."""
        said = getattr(self._pool, "_max_workers", None)
        return min(said, self._workers) if isinstance(said, int) and said > 0 else self._workers

    def send(self, job: Job) -> None:
        """Submit a job; most workers have the program already."""
        self._submit(job, with_program=self._parcels > 0)
        self._parcels -= 1

    def _submit(self, job: Job, *, with_program: bool) -> None:
        try:
            future = self._taken(job, with_program)
        except BrokenExecutor as error:
            self._inbox.put(Loss([job.number], _first_line(error)))
        except Exception as error:  # whatever a foreign pool says when it cannot take a job
            self._inbox.put(Broken(job.number, error))
        else:
            assert self._pool is not None
            self._jobs[future] = (job, self._pool)
            future.add_done_callback(self._done)

    def _taken(self, job: Job, with_program: bool) -> Future[_Returned]:
        """Have the pool take a job, or a new one if that is broken: the job had no part in it.

        What makes the processes of the standard library's pools may end with one that breaks, and takes a moment to be
        there again.
        """
        for pause in (0.0, 0.05, 0.2):
            try:
                return self._started(job, with_program)
            except _BREAKING:
                self._drop_pool()
                sleep(pause)
        return self._started(job, with_program)

    def _started(self, job: Job, with_program: bool) -> Future[_Returned]:
        assert self._boot is not None
        if self._pool is None:
            self._pool = self._new_pool()
            self._parcels = self.slots()
        parcel = self._boot.parcel if with_program or self._parcels > 0 else None
        return self._pool.submit(run_job, self._boot.key, parcel, job.turns, *job.held)

    def _done(self, future: Future[_Returned]) -> None:
        """Have the runner's thread look at what a future has come to; this may be any thread."""
        self._inbox.put(partial(self._settled, future))

    def _settled(self, future: Future[_Returned]) -> News | None:
        job, pool = self._jobs.pop(future, (None, None))
        if job is None:
            return None  # taken back, lost with others, or of a run that is over
        try:
            data, large = future.result()
        except BrokenExecutor as error:
            others = {each: other for each, (other, its) in self._jobs.items() if its is pool}
            for each in others:
                del self._jobs[each]
            if self._pool is pool:
                self._drop_pool()
            self._check_start(pool, error)
            return Loss([job.number, *(other.number for other in others.values())], _first_line(error))
        except CancelledError as error:
            return Loss([job.number], _first_line(error) or "a pool that cancelled it")
        except BaseException as error:  # the pool's own trouble: what nodes raise comes as an answer
            return Broken(job.number, error)
        self._has_answered = True
        if data == MISSING:
            self._submit(job, with_program=True)
            return None
        return Answer(job.number, data, large)

    def _check_start(self, broken: Pool | None, error: BaseException) -> None:
        """Raise KernelError where the pool broke although no node can have broken it: its workers cannot start."""
        if self._has_answered or not has_processes(broken):
            return
        pool = self._new_pool()
        try:
            pool.submit(os.getpid).result(_STARTS_S)
        except TimeoutError:  # then it is slow, which is another matter
            return
        except BrokenExecutor as again:
            raise KernelError(
                f"the pool's workers end before they run anything: {_first_line(again)}. Look for their last words on "
                f"standard error; a script that runs pipelines needs its guard, if __name__ == '__main__'"
            ) from error
        finally:
            end_at_once(pool)
        self._has_answered = True

    def recall(self, numbers: Collection[int], *, kill: bool) -> Collection[int]:
        """Take back what the pool has not begun to run."""
        recalled = [
            (future, job) for future, (job, _) in list(self._jobs.items()) if job.number in numbers and future.cancel()
        ]
        for future, _ in recalled:
            self._jobs.pop(future, None)
        return [job.number for _, job in recalled]

    def fetch(self, held: Any) -> Sequence[Any]:
        """Return the handles: they are here already, for a pool keeps nothing."""
        found: Sequence[Any] = held
        return found

    def capacity(self) -> Mapping[str, float]:
        """Offer one CPU to a node: workers run one at a time."""
        return {"cpu": 1.0}

    def look(self) -> None:
        """End a pool that does not notice the death of one of its processes, so that it says that it is broken."""
        if self._pool is None or not self._jobs or not has_dead_process(self._pool):
            self._dead_since = None
        elif self._dead_since is None:
            self._dead_since = monotonic()
        elif monotonic() - self._dead_since > _TELLS_S:
            self._drop_pool()

    def _drop_pool(self) -> None:
        pool, self._pool, self._dead_since = self._pool, None, None
        if pool is not None:
            end_at_once(pool)

    def close(self, *, cancel: bool) -> None:
        """Shut the pool down; with `cancel`, end its processes where it has any."""
        pool, self._pool = self._pool, None
        jobs, self._jobs = self._jobs, {}
        if pool is None:
            return
        for future in jobs:
            future.cancel()
        if cancel:
            end_at_once(pool)
        else:
            end_in_time(pool)


def _first_line(error: BaseException) -> str:
    """Return what an error says, without the traceback that some pools put into it, but with how processes ended."""
    text = str(error).strip()
    first = text.partition("\n")[0].rstrip(".")
    codes = _CODES.search(text)
    return f"{first} ({codes.group(1)})" if codes is not None and codes.group(1) not in first else first
