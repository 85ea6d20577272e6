"""What is left to do for an engine (Dask, Ray, a pool of futures) once an executor keeps the books for it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from queue import SimpleQueue
from typing import Any, Protocol

from attrs import frozen

__all__ = [
    "Answer",
    "Away",
    "Boot",
    "Broken",
    "DataGone",
    "Engine",
    "Inbox",
    "Job",
    "Loss",
    "News",
    "Ref",
    "TimedOut",
    "Unstarted",
]


@frozen
class Boot:
    """The program of a run on its way to workers: `key` names it, `parcel` is for `kernel_remote.booth.run_job`.

    A worker that has seen the key needs the parcel no more.
    """

    key: str
    parcel: bytes


@frozen(eq=False)
class Ref:
    """A handle that an engine holds: `held` is what came with an answer, `at` the place among its large handles.

    `owner` is the session of the executor that alone can fetch it.
    """

    held: Any
    at: int
    owner: str


@frozen
class Away:
    """Stands, on the way, for a handle that travels beside the rest: the `at`-th of the `place`-th held list."""

    place: int
    at: int


@frozen(eq=False)
class Job:
    """Turns that go to one worker together, for `kernel_remote.booth.run_job(key, parcel, turns, *values of held)`.

    `held` are the engine's own references to what the turns read, `resources` what one worker must offer, `timeout`
    seconds for the one turn of the job, `repeats` how often the engine may run it again when its worker was lost,
    `name` what to show people.
    """

    number: int
    name: str
    turns: bytes
    held: Sequence[Any]
    resources: Mapping[str, float]
    timeout: float | None
    repeats: int


@frozen(eq=False)
class Answer:
    """What `run_job` returned: `data`, and in `held` a reference to its list of large handles (None: there are none).

    An engine that runs jobs again by itself may answer a job twice. `slot` is for one with more processes than slots:
    the worker is then numbered by it. `starts`: how often the job was started before, where its worker cannot know.
    """

    number: int
    data: bytes
    held: Any = None
    slot: int | None = None
    starts: int = 0


@frozen
class Loss:
    """The worker of these jobs is gone; of several nobody knows whose fault it was. `starts`: how often each was.

    `is_repeated`: the engine has run them again by itself, so that this is only to be told. Without jobs: a
    worker is gone, and the engine itself runs again what it had.
    """

    numbers: Sequence[int]
    how: str
    pid: int = 0
    starts: int = 1
    is_repeated: bool = False


@frozen
class DataGone:
    """A job could not run: what it reads was lost with the worker that had it. `how` says so in the engine's words."""

    number: int
    how: str


@frozen
class Unstarted:
    """A job that was to be taken back, and has been after all: it never started, and never will."""

    number: int


@frozen
class TimedOut:
    """A job was ended by the engine: its turn took longer than its limit (seconds)."""

    number: int
    limit: float


@frozen
class Broken:
    """A job could not run for a reason that is the engine's own; for the node it is an error like any other."""

    number: int
    error: BaseException


News = Answer | Loss | DataGone | Unstarted | TimedOut | Broken
#: Where an engine puts its news, from any thread, or what makes them, which is called in the runner's. None makes
#: `wait` return.
Inbox = SimpleQueue[News | Callable[[], News | None] | None]


class Engine(Protocol):
    """Runs jobs on workers that it brings. Called from one thread; news goes into the inbox from any."""

    #: Whether its workers serve one runner at a time.
    alone: bool
    #: Whether they are children of this process: then they have its folder, environment and limits.
    own: bool
    #: Whether a `Loss` names the one job that is to blame, whatever else was under way.
    blames: bool
    #: How much work of tiny nodes makes a job (seconds, estimated): several times what a job itself costs.
    batch_s: float

    @property
    def depth(self) -> int:
        """How many jobs a slot should have now: one that runs, and what shall wait behind it."""
        ...

    def open(self, boot: Boot, inbox: Inbox, workers: int) -> int:
        """Make ready for a run on at most `workers` workers; return how many there are. Called again for each run."""
        ...

    def slots(self) -> int:
        """Return how many jobs can run at once now."""
        ...

    def send(self, job: Job) -> None:
        """Start a job, or queue it; returns at once."""
        ...

    def recall(self, numbers: Collection[int], *, kill: bool) -> Collection[int]:
        """Take jobs back; return those that have not started and never will. `kill`: end those that run, if it can."""
        ...

    def fetch(self, held: Any) -> Sequence[Any]:
        """Bring a list of large handles here; raises `kernel.errors.DataLost` when it is gone."""
        ...

    def capacity(self) -> Mapping[str, float]:
        """Say what the biggest worker offers."""
        ...

    def close(self, *, cancel: bool) -> None:
        """Let go of the workers, ending those that were made here; with `cancel`, at once. May be called twice.

        Those that live on are to `kernel_remote.booth.forget` the last program.
        """
        ...
