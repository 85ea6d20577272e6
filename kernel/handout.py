"""Makes tasks of nodes that can run: where their inputs are, who reads them last, what can follow straight on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import define, field

from kernel.specs.tasks import MADE, Chain, Tasks

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.pipelines import Plan
    from kernel.rules import Rules
    from kernel.schedule import Schedule
    from kernel.specs.catalog import Catalog

__all__ = ["HandOut"]


@define(eq=False)
class HandOut:
    """What one run hands out. `modes` are the datasets for which the user chose a copy mode.

    `chains`: whether the executor goes straight on to nodes that hang on the one it has just run; `saves_all`: whether
    every value is saved, although only the next node of a chain reads it.
    """

    plan: Plan
    schedule: Schedule
    catalog: Catalog
    rules: Rules
    persistent: frozenset[str]
    modes: frozenset[str]
    chains: bool
    saves_all: bool
    #: Of each node, in columns: its inputs that are made in this run and live in memory; its outputs that do.
    made_inputs: Sequence[tuple[str, ...]] = field(init=False)
    kept_outputs: Sequence[tuple[str, ...]] = field(init=False)
    _timeouts: Mapping[int, float] = field(init=False)
    #: Nodes that are in no chain: what must happen between them and the next is not their worker's business.
    _alone: frozenset[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        plan = self.plan
        self.made_inputs, self.kept_outputs = plan.in_memory(self.persistent)
        self._timeouts = {i: node.policy.timeout for i, node in plan.special.items() if node.policy.timeout is not None}
        self._alone = frozenset(i for i, node in plan.special.items() if _is_alone(node))

    def take(self, room: int | None, starts: Mapping[int, int]) -> tuple[Sequence[int], Tasks]:
        """Take nodes from the schedule, at most `room` and what chains add; return all of them, and the tasks.

        `starts` says how often a node was started before.
        """
        index = self.schedule.take(room)
        made = [self.made_inputs[each] for each in index]
        handles: list[tuple[Any, ...]] | None = None
        last: list[int] | None = None
        if any(made):
            handle, last_reader = self.catalog.handle, self.schedule.last_reader
            handles = [tuple(map(handle, names)) for names in made]
            last = [last_reader(names) for names in made]
        chains = self._chains(index) if self.chains and self.plan.layers > 1 else {}
        everything = [*index, *(each for chain in chains.values() for each in chain.index)] if chains else index
        attempts = {each: starts[each] + 1 for each in everything if each in starts} if starts else {}
        timeouts = {each: self._timeouts[each] for each in index if each in self._timeouts} if self._timeouts else {}
        return everything, Tasks(index, handles, last, attempts, timeouts, chains)

    def _chains(self, heads: Sequence[int]) -> dict[int, Chain]:
        children, alone = self.plan.children, self._alone
        chains: dict[int, Chain] = {}
        for head in heads:
            if children[head] and head not in alone:
                index = self.schedule.take_chain(head, self._fits)
                if index:
                    chains[head] = self._chain(head, index)
        return chains

    def _fits(self, index: int) -> bool:
        return index not in self._alone

    def _chain(self, head: int, index: Sequence[int]) -> Chain:
        made = set(self.kept_outputs[head])
        handles: list[tuple[Any, ...]] = []
        inner, before = 0, head
        for at, each in enumerate(index):
            names = self.made_inputs[each]
            handles.append(tuple([MADE if name in made else self.catalog.handle(name) for name in names]))
            if self._is_inner(before, each):
                inner |= 1 << at
            made.update(self.kept_outputs[each])
            before = each
        return Chain(index, handles, [self.schedule.last_reader(self.made_inputs[each]) for each in index], inner)

    def _is_inner(self, index: int, follower: int) -> bool:
        """Say whether the follower is all that ever needs what this node makes, even if their worker should die."""
        outputs = self.plan.outputs[index]
        if self.saves_all or len(outputs) != 1 or self.kept_outputs[index] != outputs or outputs[0] in self.modes:
            return False
        if self.plan.load_counts.get(outputs[0]) != 1 or outputs[0] not in self.made_inputs[follower]:
            return False
        maker, reader = self.plan.nodes[index], self.plan.nodes[follower]
        deaths = maker.policy.death_retries
        again = self.rules.death_retries if deaths is None else deaths
        return bool(again) and not maker.is_generator and not reader.policy.retries


def _is_alone(node: Node) -> bool:
    policy = node.policy
    placed = policy.fresh_process or policy.resources or policy.executor is not None
    return bool(policy.timeout is not None or node.confirms or placed)
