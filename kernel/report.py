"""What is known of a run: a report for each turn, and the totals."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import define, field

from kernel.specs.events import Outcomes, Report, State

__all__ = ["RunReport"]


@define(eq=False)
class RunReport:
    """The reports of a run, kept as the batches they came in and built when somebody asks.

    `workers` is how many workers the run had, `wall_s` its seconds from the first turn handed out to the last outcome.
    """

    names: Sequence[str]
    run_id: str = ""
    workers: int = 0
    wall_s: float = 0.0
    skipped: Sequence[str] = ()
    batches: list[Outcomes] = field(factory=list[Outcomes])

    def add(self, batch: Outcomes) -> None:
        """Keep a batch, without its handles: they would keep values alive."""
        batch.handles = ()
        self.batches.append(batch)

    @property
    def tasks(self) -> list[Report]:
        """One report for each turn that ran, in the order in which their outcomes came in."""
        return [
            outcome.report(self.names[outcome.index])
            for batch in self.batches
            for outcome in batch
            if outcome.state not in (State.CANCELLED, State.SKIPPED)
        ]

    @property
    def work_s(self) -> float:
        """Seconds of all turns together: on several workers more than `wall_s`."""
        return sum(sum(batch.end) - sum(batch.start) for batch in self.batches)

    @property
    def bytes(self) -> int:
        """Bytes that were published outside of messages."""
        return sum(sum(batch.bytes) for batch in self.batches)

    def count(self, state: State) -> int:
        """Count the turns that came to this."""
        if state == State.DONE:
            return sum(len(batch) - len(batch.states) for batch in self.batches)
        return sum(found == state for batch in self.batches for found in batch.states.values())
