"""Who hears of turns in the runner's process: its listeners and its log."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import define, field

from kernel.schedule import Phase
from kernel.specs.events import State

if TYPE_CHECKING:
    from kernel.errors import NodeError
    from kernel.hooks import Hooks
    from kernel.pipelines import Plan
    from kernel.schedule import Schedule
    from kernel.specs.events import Outcome, Outcomes, Repeated

__all__ = ["Audience"]

_log = logging.getLogger("kernel")


@define(eq=False)
class Audience:
    """Tells of turns that are handed out and of what came of them; costs nothing where nobody listens."""

    plan: Plan
    hooks: Hooks
    schedule: Schedule
    #: Of each node the last attempt that listeners were told of.
    _submitted: dict[int, int] = field(factory=dict[int, int])
    _ended: set[int] = field(factory=set[int])
    _logs: bool = field(factory=lambda: _log.isEnabledFor(logging.INFO))

    def submitted(self, index: Sequence[int], starts: Mapping[int, int]) -> None:
        """Tell listeners once of each attempt: a turn that came back unstarted is still the same one."""
        tell = self.hooks.on_task_submitted
        if tell is None:
            return
        for each in index:
            attempt = starts.get(each, 0) + 1
            if self._submitted.get(each) != attempt:
                self._submitted[each] = attempt
                tell(node=self.plan.nodes[each], attempt=attempt)

    def done(self, batch: Outcomes, errors: Sequence[NodeError]) -> None:
        """Tell of a batch of outcomes; `errors` are those of the run so far."""
        if self._logs:
            for outcome in batch:
                self._log_done(outcome)
        if self.hooks.on_task_done is not None:
            for outcome in batch:
                self._tell_done(outcome, errors)

    def repeated(self, event: Repeated) -> None:
        """Tell of a node that was done and was run again."""
        node = self.plan.nodes[event.index]
        _log.warning("node %r was run again (%d times by now): its result was lost", node.name, event.attempt)
        if self.hooks.on_node_repeated is not None:
            self.hooks.on_node_repeated(node=node, attempt=event.attempt)

    def _log_done(self, outcome: Outcome) -> None:
        ran = outcome.state in (State.DONE, State.DONE_LOCAL)
        if ran and self.schedule.phases[outcome.index] in (Phase.DONE, Phase.LOCAL):
            self._ended.add(outcome.index)
            name = self.plan.nodes[outcome.index].name
            _log.info("Completed node: %s (%d of %d)", name, len(self._ended), len(self.plan.nodes))

    def _tell_done(self, outcome: Outcome, errors: Sequence[NodeError]) -> None:
        if outcome.state in (State.CANCELLED, State.SKIPPED):
            return
        node = self.plan.nodes[outcome.index]
        error: BaseException | None = None
        if outcome.failure is not None or outcome.state == State.LOST:
            error = next((each for each in reversed(errors) if each.node == node.name), None)
        assert self.hooks.on_task_done is not None
        self.hooks.on_task_done(node=node, report=outcome.report(node.name), error=error)
