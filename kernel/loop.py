"""The one loop of a run: hand out what is ready, wait for what came of it, release what nobody needs."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from itertools import chain
from time import monotonic
from typing import TYPE_CHECKING

from attrs import define, field

from kernel.audience import Audience
from kernel.datasets import access
from kernel.errors import Interrupted, NodeError, SchedulingError, WorkerLost
from kernel.failure import capture, rebuild
from kernel.handout import HandOut
from kernel.resume import skipped_for
from kernel.schedule import Phase, Schedule
from kernel.several import part_of
from kernel.signals import Signals, end_by_signal
from kernel.specs.catalog import ResumableCatalog
from kernel.specs.events import Event, Log, Outcome, Outcomes, Published, Repeated, State, Warned, WorkerDown

if TYPE_CHECKING:
    from kernel.datasets import Datasets
    from kernel.hooks import Hooks
    from kernel.nodes import Node
    from kernel.pipelines import Plan
    from kernel.report import RunReport
    from kernel.rules import Rules
    from kernel.specs.catalog import Catalog
    from kernel.specs.executor import Executor

__all__ = ["Loop"]

#: The longest single wait (seconds). A signal that comes in the instant before a wait blocks does not interrupt it, and
#: Python runs the handler only once the wait is over.
_PULSE_S = 0.5

_RAN = (State.DONE, State.DONE_LOCAL)

_log = logging.getLogger("kernel")


@define(eq=False)
class Loop:
    """One run over a plan, from the first turn handed out to the last outcome.

    `persistent` are those of the plan's datasets that do not live in memory.
    """

    plan: Plan
    datasets: Datasets
    persistent: frozenset[str]
    executor: Executor
    catalog: Catalog
    hooks: Hooks
    report: RunReport
    rules: Rules
    #: The datasets for which the user chose a copy mode.
    modes: frozenset[str] = frozenset()
    schedule: Schedule = field(init=False)
    errors: list[NodeError] = field(factory=list[NodeError])
    _handout: HandOut = field(init=False)
    _free_inputs: frozenset[str] = field(init=False)
    _audience: Audience = field(init=False)
    _starts: dict[int, int] = field(factory=dict[int, int])
    _deaths: dict[int, int] = field(factory=dict[int, int])
    #: How often each lost node was started in vain, whoever was to blame.
    _tries: dict[int, int] = field(factory=dict[int, int])
    _down: dict[int, WorkerDown] = field(factory=dict[int, WorkerDown])

    def __attrs_post_init__(self) -> None:
        plan = self.plan
        retains = isinstance(self.catalog, ResumableCatalog) and self.catalog.saves_all
        self.schedule = Schedule(plan, self.rules.on_failure, retains=retains)
        self._free_inputs = frozenset(plan.free_inputs)
        self._audience = Audience(plan, self.hooks, self.schedule)
        chains = self.executor.capabilities.chains
        self._handout = HandOut(
            plan, self.schedule, self.catalog, self.rules, self.persistent, self.modes, chains, retains
        )

    def run(self) -> None:
        """Run until everything is done or nothing more can be; raises the first error, or `Interrupted`."""
        begun = monotonic()
        with Signals(
            self.executor.wake, inline=lambda: self.executor.capabilities.inline, grace_s=self.rules.grace_s
        ) as signals:
            try:
                self._drive(signals)
            except KeyboardInterrupt:
                if not signals.received:  # not ours: somebody else's handler raised it
                    raise
            finally:
                self.report.wall_s = monotonic() - begun
                failed, skipped = map(self.schedule.in_phase, (Phase.FAILED, Phase.SKIPPED))
                self.report.skipped = skipped_for(self.plan, failed, skipped)
            if signals.received:
                end_by_signal()
                raise Interrupted(signals.received[0])
        if self.errors:
            self.errors[0].others = tuple(self.errors[1:])
            self.errors[0].skipped = self.report.skipped
            raise self.errors[0]
        stuck = self.schedule.stuck()
        if stuck:
            lines = "\n  ".join(stuck)
            raise SchedulingError(f"nothing is running and {len(stuck)} nodes can never start:\n  {lines}")

    def _drive(self, signals: Signals) -> None:
        deadline: float | None = None
        while True:
            self._hand_out()
            if self.schedule.over:
                return
            patience = _PULSE_S if deadline is None else max(0.0, min(_PULSE_S, deadline - monotonic()))
            for event in self.executor.wait(patience):
                self._handle(event)
            if signals.received and deadline is None:
                self.schedule.stop()
                self.executor.cancel(kill=True)
                deadline = monotonic() + self.rules.grace_s
            if deadline is not None and (len(signals.received) > 1 or monotonic() >= deadline):
                self.executor.shutdown(cancel=True)
                return

    # -- out ------------------------------------------------------------------------------------------------------

    def _hand_out(self) -> None:
        schedule = self.schedule
        if not schedule.has_ready:
            return
        window = self.executor.capabilities.window
        room = None if window is None else window - schedule.unfinished
        if room is not None and room <= 0:
            return
        index, tasks = self._handout.take(room, self._starts)
        self._audience.submitted(index, self._starts)
        self.executor.submit(tasks)

    # -- back -----------------------------------------------------------------------------------------------------

    def _handle(self, event: Event) -> None:
        if isinstance(event, Outcomes):
            self._outcomes(event)
        elif isinstance(event, WorkerDown):
            self._worker_down(event)
        elif isinstance(event, Published):
            self._published(event)
        elif isinstance(event, Repeated):
            self._audience.repeated(event)
        elif isinstance(event, Log):
            record = logging.makeLogRecord(dict(event.record))
            logging.getLogger(record.name).handle(record)
        elif isinstance(event, Warned):
            event.show()

    def _outcomes(self, batch: Outcomes) -> None:
        if batch.states or batch.tokens or not self.schedule.are_sent(batch.index):
            for outcome in batch:
                self._outcome(outcome)
        else:
            kept = self._handout.kept_outputs
            names = chain.from_iterable([kept[index] for index in batch.index])
            self.catalog.adopt(names, chain.from_iterable(batch.handles))
            self._release(self.schedule.done(batch.index))
        self.report.add(batch)
        self._audience.done(batch, self.errors)

    def _outcome(self, outcome: Outcome) -> None:
        index, state = outcome.index, outcome.state
        stale = state in _RAN and outcome.attempt <= self._starts.get(index, 0)
        awaited = (Phase.SENT, Phase.LOCAL) if state == State.FAILED else (Phase.SENT,)
        if stale or self.schedule.phases[index] not in awaited:
            self.catalog.discard(outcome.handles)  # another attempt's outcome counts
        elif state == State.DONE:
            self._done(outcome)
        elif state == State.DONE_LOCAL:
            self.schedule.local(index, outcome.batch.worker)
        elif state == State.CANCELLED:
            self._release(self.schedule.returned((index,)))
        elif state == State.LOST:
            self._lost(index, outcome)
        else:
            assert outcome.failure is not None
            node = self.plan.nodes[index]
            self._fail(index, rebuild(outcome.failure, node.name, _known(outcome.batch.worker)))

    def _published(self, event: Published) -> None:
        if self.schedule.phases[event.index] != Phase.LOCAL:
            self.catalog.discard(event.handles)  # its worker died since, and it runs again
            return
        self.catalog.adopt(self._handout.kept_outputs[event.index], event.handles)
        self._release(self.schedule.published(event.index))

    def _done(self, outcome: Outcome) -> None:
        index = outcome.index
        tokens = outcome.batch.tokens.get(outcome.at)
        if tokens:
            try:
                for name, token in tokens.items():
                    access.confirm(name, self.datasets[name], token)
            except Exception as error:  # a checkpoint that cannot be kept fails the node, whatever the type raised
                self.catalog.discard(outcome.handles)
                name = self.plan.nodes[index].name
                self._fail(index, rebuild(capture(error, "confirm"), name, outcome.batch.worker))
                return
        self.catalog.adopt(self._handout.kept_outputs[index], outcome.handles)
        self._release(self.schedule.done((index,)))

    def _release(self, names: Iterable[str]) -> None:
        """Let go of what nobody reads any more: values in memory, and what datasets hold open or cached."""
        gone: list[str] = []
        for name in names:
            if name not in self.persistent:
                gone.append(name)
            elif name not in self._free_inputs:
                self._release_dataset(name)
        if gone:
            self.catalog.release(gone)

    def _release_dataset(self, name: str) -> None:
        try:
            self.datasets[name].release()
        except Exception as error:  # a dataset is foreign code; its data is saved and read, so the run can go on
            _log.warning("dataset %r could not be released: %s: %s", name, type(error).__name__, error)

    def _fail(self, index: int, error: NodeError) -> None:
        self.errors.append(error)
        self._release(self.schedule.failed(index))
        if self.rules.on_failure != "continue":  # to drain, too: chains that went out go on no further
            self.executor.cancel(kill=False)

    # -- losses ---------------------------------------------------------------------------------------------------

    def _worker_down(self, event: WorkerDown) -> None:
        self._down[event.worker] = event
        self.catalog.worker_lost(event.worker)
        self._start_again(self.schedule.lost(event.worker, event.index))
        if self.hooks.on_worker_lost is not None and not event.planned:
            node = self.plan.nodes[event.index] if event.index is not None else None
            self.hooks.on_worker_lost(worker=event.worker, node=node, error=self._loss(event, node))

    def _loss(self, event: WorkerDown, node: Node | None) -> WorkerLost:
        tries = self._tries.get(event.index, 0) + event.starts if event.index is not None else 0
        return WorkerLost(node.name if node else "", event.pid, event.how, tries, _known(event.worker))

    def _lost(self, index: int, outcome: Outcome) -> None:
        """Run a lost node again, or fail it. One that was not running when its worker died is never to blame.

        It had run, though, and its result is lost: where it may not be run twice, it has failed all the same.
        """
        worker = outcome.batch.worker
        down = self._down.get(worker) or WorkerDown(worker, 0, "an unknown cause", index)
        self._starts[index] = self._starts.get(index, 0) + 1
        node = self.plan.nodes[index]
        error = self._loss(down, node)
        self._tries[index] = self._tries.get(index, 0) + (down.starts if down.index in {index, None} else 1)
        if down.index != index and self._death_retries(node):
            self._return(index)
            return
        self._deaths[index] = deaths = self._deaths.get(index, 0) + 1
        if self._runs_again(node, deaths, error):
            self._return(index)
        else:
            self._fail(index, error)

    def _return(self, index: int) -> None:
        """Have a lost node run again, and before it what its chain had made and published nowhere."""
        self._start_again(self.schedule.undo(index))
        self._release(self.schedule.returned((index,)))

    def _start_again(self, indices: Iterable[int]) -> None:
        for index in indices:
            self._starts[index] = self._starts.get(index, 0) + 1

    def _runs_again(self, node: Node, deaths: int, error: WorkerLost) -> bool:
        if part_of(self.executor, node).capabilities.recovers or self.schedule.stopped:
            return False
        if self.hooks.retry_lost_node is not None:
            said: bool | None = self.hooks.retry_lost_node(node=node, attempt=deaths, error=error)
            if said is not None:
                return said
        return deaths <= self._death_retries(node)

    def _death_retries(self, node: Node) -> int:
        allowed = node.policy.death_retries
        return self.rules.death_retries if allowed is None else allowed

    def done_nodes(self) -> list[int]:
        """List the nodes that are done."""
        return self.schedule.in_phase(Phase.DONE)


def _known(worker: int) -> int | None:
    """Return a worker's number, or None where an engine could not say which it was."""
    return worker if worker >= 0 else None
