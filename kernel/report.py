"""What is known of a run: a report for each turn, and the totals."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from itertools import chain, repeat
from typing import Any

from attrs import define, field

from kernel.specs.events import Outcomes, Report, State

__all__ = ["RunReport"]

#: So many batches are kept as they came in before they are added to the columns. A batch of one turn, as many executors
#: send them, takes 430 bytes, a row of the columns 56: that counts in long runs only, and it takes half a microsecond.
_MOST_BATCHES = 16_384


def _doubles() -> array[float]:
    return array("d")


def _integers() -> array[int]:
    return array("q")


@define(eq=False, repr=False)
class RunReport:
    """The reports of a run: columns with a row for each outcome, in the order they came in, built when somebody asks.

    `workers` is how many workers the run had, `wall_s` its seconds from the first turn handed out to the last outcome,
    `skipped` has the nodes that were skipped, each with the failed node that it had to wait for.
    """

    names: Sequence[str]
    run_id: str = ""
    workers: int = 0
    wall_s: float = 0.0
    skipped: Mapping[str, str] = field(factory=dict[str, str])
    _batches: list[Outcomes] = field(factory=list[Outcomes])
    _index: array[int] = field(factory=_integers)
    _worker: array[int] = field(factory=_integers)
    _start: array[float] = field(factory=_doubles)
    _loaded: array[float] = field(factory=_doubles)
    _ran: array[float] = field(factory=_doubles)
    _end: array[float] = field(factory=_doubles)
    _bytes: array[int] = field(factory=_integers)
    #: By row, as in `Outcomes`; where a value went is no concern of a report, so DONE_LOCAL is DONE.
    _states: dict[int, State] = field(factory=dict[int, State])
    _attempts: dict[int, int] = field(factory=dict[int, int])
    _notes: dict[int, Mapping[str, Any]] = field(factory=dict[int, Mapping[str, Any]])

    def add(self, batch: Outcomes) -> None:
        """Keep a batch, without its handles: they would keep values alive."""
        batch.handles = ()
        self._batches.append(batch)
        if len(self._batches) >= _MOST_BATCHES:
            self._take_in()

    def _take_in(self) -> None:
        """Add the batches to the columns."""
        batches, self._batches = self._batches, []
        row = len(self._index)
        for batch in batches:
            if batch.states or batch.attempts or batch.notes:
                local = State.DONE_LOCAL
                self._states.update({row + at: state for at, state in batch.states.items() if state != local})
                self._attempts.update({row + at: attempt for at, attempt in batch.attempts.items()})
                self._notes.update({row + at: notes for at, notes in batch.notes.items()})
            row += len(batch.index)
        every = chain.from_iterable
        self._worker.extend(every([repeat(batch.worker, len(batch.index)) for batch in batches]))
        self._index.extend(every([batch.index for batch in batches]))
        self._start.extend(every([batch.start for batch in batches]))
        self._loaded.extend(every([batch.loaded for batch in batches]))
        self._ran.extend(every([batch.ran for batch in batches]))
        self._end.extend(every([batch.end for batch in batches]))
        self._bytes.extend(every([batch.bytes for batch in batches]))

    @property
    def tasks(self) -> list[Report]:
        """One report for each turn that ran, in the order in which their outcomes came in."""
        self._take_in()
        return [
            self._report(row)
            for row in range(len(self._index))
            if self._states.get(row) not in (State.CANCELLED, State.SKIPPED)
        ]

    def _report(self, row: int) -> Report:
        return Report(
            self.names[self._index[row]],
            self._attempts.get(row, 1),
            self._worker[row],
            self._states.get(row, State.DONE),
            self._start[row],
            self._loaded[row],
            self._ran[row],
            self._end[row],
            self._bytes[row],
            self._notes.get(row, {}),
        )

    @property
    def work_s(self) -> float:
        """Seconds of all turns together: on several workers more than `wall_s`."""
        self._take_in()
        return sum(end - start for start, end in zip(self._start, self._end, strict=True))

    @property
    def bytes(self) -> int:
        """Bytes that were published outside of messages."""
        self._take_in()
        return sum(self._bytes)

    def count(self, state: State) -> int:
        """Count the turns that came to this."""
        self._take_in()
        if state == State.DONE:
            return len(self._index) - len(self._states)
        return sum(found == state for found in self._states.values())
