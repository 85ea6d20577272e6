"""An executor that is watched while it works: what was submitted, what came of it, and whether the two agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kernel.specs.events import Event, Outcomes, State, WorkerDown
from kernel.specs.executor import HoldingExecutor

if TYPE_CHECKING:
    from kernel import Node
    from kernel.specs.executor import Executor
    from kernel.specs.tasks import Program, Tasks

__all__ = ["Watched"]


class Watched:
    """Hands every call on to an executor that outlives it, so that many runs share warm workers.

    `shutdown` ends it only when it has to be at once; `ended` is called then.
    """

    def __init__(self, executor: Executor, ended: Callable[[], None]) -> None:
        self.executor = executor
        self.capabilities = executor.capabilities
        self.default_catalog = executor.default_catalog
        self._ended = ended
        self._workers = 0
        self._submitted: Counter[int] = Counter()
        self._came: Counter[int] = Counter()
        #: Turns whose value may stay in their worker.
        self._inner: set[int] = set()
        self._complaints: list[str] = []
        self._cut_short = False
        self._deaths = 0

    def validate_nodes(self, nodes: Sequence[Node]) -> None:
        """Hand on."""
        self.executor.validate_nodes(nodes)

    def start(self, program: Program, workers: int) -> int:
        """Hand on, and see how many workers there are."""
        self._workers = self.executor.start(program, workers)
        if not 1 <= self._workers <= workers:
            self._complaints.append(f"asked for {workers} workers, start() said {self._workers}")
        return self._workers

    def submit(self, tasks: Tasks) -> None:
        """Hand on, and note the turns."""
        self._submitted.update(tasks.index)
        for head, chain in tasks.chains.items():
            self._submitted.update(chain.index)
            self._inner.update(each for at, each in enumerate((head, *chain.index)) if chain.inner >> at & 1)
        self.executor.submit(tasks)

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Hand on, and note what came."""
        events = self.executor.wait(timeout)
        for event in events:
            if isinstance(event, Outcomes):
                self._note(event)
            elif isinstance(event, WorkerDown):
                self._deaths += 1
        return events

    def _note(self, batch: Outcomes) -> None:
        self._came.update(batch.index)
        for outcome in batch:
            report = outcome.report("")
            if self._came[outcome.index] > self._submitted[outcome.index]:
                self._complaints.append(f"turn {outcome.index} has more outcomes than it was submitted")
            # Not every engine knows which it was; and one with workers of its own may choose among more of them.
            known = outcome.state in {State.DONE, State.DONE_LOCAL} and not self.capabilities.sizes
            if known and not 0 <= report.worker < max(1, self._workers) * (1 + self._deaths):
                self._complaints.append(f"turn {outcome.index} ran on worker {report.worker} of {self._workers}")
            if outcome.state == State.DONE and not report.start <= report.loaded <= report.ran <= report.end:
                self._complaints.append(f"the times of turn {outcome.index} are out of order")
            if outcome.state == State.DONE_LOCAL and outcome.index not in self._inner:
                self._complaints.append(f"turn {outcome.index} kept a value to itself that others need")
            if (outcome.state == State.FAILED) != (outcome.failure is not None):
                self._complaints.append(f"turn {outcome.index} is {outcome.state.name}, its failure {outcome.failure}")

    def wake(self) -> None:
        """Hand on."""
        self.executor.wake()

    def cancel(self, *, kill: bool) -> None:
        """Hand on."""
        self.executor.cancel(kill=kill)

    def fetch(self, handles: Sequence[Any]) -> Sequence[Any]:
        """Hand on, to one that holds handles."""
        return self.executor.fetch(handles) if isinstance(self.executor, HoldingExecutor) else handles

    def capacity(self) -> Mapping[str, float]:
        """Hand on."""
        return self.executor.capacity()

    def shutdown(self, *, cancel: bool = False) -> None:
        """Keep the workers for the next run, unless it has to be at once."""
        if cancel:
            self._cut_short = True
            self.executor.shutdown(cancel=True)
            self._ended()

    def complaints(self) -> list[str]:
        """Say what was not as it should be, a line each; asked when the run is over."""
        left = self._submitted - self._came
        if left and not self._cut_short:
            return [*self._complaints, f"turns without an outcome: {sorted(left)}"]
        return self._complaints
