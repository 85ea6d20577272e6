"""What comes back from an executor: outcomes in column batches, and what happens to workers meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Any

from attrs import define, field, frozen

__all__ = [
    "Event",
    "Failure",
    "Log",
    "Outcome",
    "Outcomes",
    "Published",
    "Repeated",
    "Report",
    "Row",
    "State",
    "Warned",
    "WorkerDown",
    "WorkerUp",
]


class State(IntEnum):
    """What came of a turn."""

    DONE = 0
    #: Done, and the next turn of its chain has the only use for its value: it was not published. A worker that comes
    #: to drop that next turn publishes the value after all (`Published`); when the worker dies, it is lost.
    DONE_LOCAL = 1
    FAILED = 2
    #: The worker died while it ran the turn, or before the result of the turn had left it.
    LOST = 3
    #: Not run because something it needs failed.
    SKIPPED = 4
    #: Taken back before it started: it left no trace and may simply be submitted again.
    CANCELLED = 5


@frozen
class Failure:
    """An error on its way from a worker to the runner: always picklable, whatever was raised.

    `place` is where it happened (`load`, `hook`, `run`, `save`, `timeout`), `traceback` the user's frames as text,
    `pickled` the exception itself where it survives pickling and rebuilding.
    """

    place: str
    type_name: str
    message: str
    traceback: str = ""
    pickled: bytes | None = None
    #: Type and shape of each input, by name, where the inputs had been loaded.
    inputs: Mapping[str, str] = field(factory=dict[str, str])


#: One turn's result as the worker makes it; several become the columns of an `Outcomes`:
#: (index, handles, start, loaded, ran, end, bytes, failure or None, attempt, notes or None, confirm tokens or None).
#: Times are seconds of `time.time()`'s clock; `bytes` counts what was published out of line. Handles that are None say
#: that the turn is DONE_LOCAL.
Row = tuple[
    int,
    Sequence[Any] | None,
    float,
    float,
    float,
    float,
    int,
    Failure | None,
    int,
    Mapping[str, Any] | None,
    Mapping[str, Any] | None,
]


@frozen
class Report:
    """What is known of one turn: who ran it, when, how long its parts took (seconds), what it noted."""

    node: str
    attempt: int
    worker: int
    state: State
    start: float
    loaded: float
    ran: float
    end: float
    bytes: int = 0
    notes: Mapping[str, Any] = field(factory=dict[str, Any])

    @property
    def load_s(self) -> float:
        """Seconds spent on loading inputs."""
        return self.loaded - self.start

    @property
    def run_s(self) -> float:
        """Seconds spent in the node's function and in listeners."""
        return self.ran - self.loaded

    @property
    def save_s(self) -> float:
        """Seconds spent on saving outputs."""
        return self.end - self.ran


#: What a sparse column is in nearly every batch.
_NONE: Mapping[int, Any] = {}


@define(eq=False)
class Outcomes:
    """A batch of outcomes of one worker, in columns; iterates as `Outcome` views, in the order they happened.

    Columns that are mostly empty are mappings from the position in the batch: `failures`, `states` (where not DONE),
    `attempts` (where not 1), `notes`, `tokens` (of datasets to confirm).
    """

    worker: int
    index: Sequence[int]
    handles: Sequence[Sequence[Any]]
    start: Sequence[float]
    loaded: Sequence[float]
    ran: Sequence[float]
    end: Sequence[float]
    bytes: Sequence[int]
    failures: Mapping[int, Failure] = _NONE
    states: Mapping[int, State] = _NONE
    attempts: Mapping[int, int] = _NONE
    notes: Mapping[int, Mapping[str, Any]] = _NONE
    tokens: Mapping[int, Mapping[str, Any]] = _NONE

    @classmethod
    def of_rows(cls, worker: int, rows: Sequence[Row]) -> Outcomes:
        """Turn rows, as `kernel.worker` makes them, into columns."""
        index, handles, start, loaded, ran, end, sizes, failures, attempts, notes, tokens = zip(*rows, strict=True)
        sparse: list[Mapping[int, Any]] = [
            {at: entry for at, entry in enumerate(column) if entry is not None} if any(column) else _NONE
            for column in (failures, notes, tokens)
        ]
        states: Mapping[int, State] = dict.fromkeys(sparse[0], State.FAILED) if sparse[0] else _NONE
        if None in handles:
            local = {at: State.DONE_LOCAL for at, entry in enumerate(handles) if entry is None}
            states = {**states, **local}
            handles = tuple([entry or () for entry in handles])
        others = {at: attempt for at, attempt in enumerate(attempts) if attempt != 1} if set(attempts) != {1} else _NONE
        return cls(
            worker, index, handles, start, loaded, ran, end, sizes, sparse[0], states, others, sparse[1], sparse[2]
        )

    @classmethod
    def of_row(cls, worker: int, row: Row) -> Outcomes:
        """Make a batch of one plain row quickly, as an executor does that tells of each turn by itself."""
        index, handles, start, loaded, ran, end, size, failure, attempt, notes, tokens = row
        if handles is None or failure is not None or attempt != 1 or notes or tokens:
            return cls.of_rows(worker, (row,))
        return cls(worker, (index,), (handles,), (start,), (loaded,), (ran,), (end,), (size,))

    @classmethod
    def without_result(
        cls,
        worker: int,
        index: Sequence[int],
        state: State,
        *,
        failure: Failure | None = None,
        attempt: int = 1,
    ) -> Outcomes:
        """Make a batch for turns that brought nothing back: lost, cancelled, timed out."""
        count = len(index)
        zeros = (0.0,) * count
        failures = dict.fromkeys(range(count), failure) if failure is not None else {}
        attempts = dict.fromkeys(range(count), attempt) if attempt != 1 else {}
        states = dict.fromkeys(range(count), state)
        return cls(worker, index, ((),) * count, zeros, zeros, zeros, zeros, (0,) * count, failures, states, attempts)

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Outcome]:
        return (Outcome(self, at) for at in range(len(self.index)))


@frozen
class Outcome:
    """What came of one turn: a view of one position of a batch."""

    batch: Outcomes
    at: int

    @property
    def index(self) -> int:
        """The node's position in the plan."""
        return self.batch.index[self.at]

    @property
    def attempt(self) -> int:
        """Which try this was, from 1."""
        return self.batch.attempts.get(self.at, 1)

    @property
    def state(self) -> State:
        """What came of it."""
        return self.batch.states.get(self.at, State.DONE)

    @property
    def handles(self) -> Sequence[Any]:
        """One handle for each output, in order; empty unless it is done."""
        return self.batch.handles[self.at]

    @property
    def failure(self) -> Failure | None:
        """What went wrong, if anything did."""
        return self.batch.failures.get(self.at)

    def report(self, node: str) -> Report:
        """Build the report; `node` is the node's name, which travels once per run and not with each outcome.

        Where a value went is no concern of its readers: a turn that is DONE_LOCAL is reported as DONE.
        """
        batch, at, state = self.batch, self.at, self.state
        return Report(
            node,
            self.attempt,
            batch.worker,
            State.DONE if state == State.DONE_LOCAL else state,
            batch.start[at],
            batch.loaded[at],
            batch.ran[at],
            batch.end[at],
            batch.bytes[at],
            batch.notes.get(at, {}),
        )


@frozen
class WorkerUp:
    """A worker is there and ready: its number, its process (0: the runner's own)."""

    worker: int
    pid: int = 0


@frozen
class WorkerDown:
    """A worker is gone. `how` says its end in words; `index` is the node it was running, if any.

    `planned`: the executor ended it on purpose (a time limit, a recycling), so nothing was lost. `starts`: how often
    that node was started since it was submitted; an engine that repeats nodes by itself counts every try.
    """

    worker: int
    pid: int
    how: str
    index: int | None = None
    planned: bool = False
    starts: int = 1


@frozen
class Published:
    """The value of a turn that was DONE_LOCAL is there for everybody after all: its handles, in order."""

    worker: int
    index: int
    handles: Sequence[Any]


@frozen
class Repeated:
    """An engine ran a node again whose result was lost with a worker; `attempt`: how often by now."""

    worker: int
    index: int
    attempt: int


@frozen
class Log:
    """A log record of a worker, as the arguments of `logging.makeLogRecord`."""

    worker: int
    record: Mapping[str, Any]


@frozen
class Warned:
    """A warning of a worker: `show` does with it what this process does with its own."""

    worker: int
    show: Callable[[], None]


Event = Outcomes | WorkerUp | WorkerDown | Published | Repeated | Log | Warned
Events = Iterable[Event]
