"""Several executors as one, for pipelines whose nodes name where they run: the loop sees a single executor."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from time import monotonic
from typing import TYPE_CHECKING, Any

from attrs import define, evolve

from kernel.complaints import Complaints
from kernel.errors import DataLost
from kernel.failure import capture
from kernel.nodes.calling import names_of
from kernel.specs.events import Event, Outcomes, State
from kernel.specs.executor import Capabilities, HoldingExecutor, Reach
from kernel.specs.tasks import Chain, Tasks

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.nodes.calling import DeclaredNames
    from kernel.specs.executor import Executor
    from kernel.specs.tasks import Program

__all__ = ["Several", "part_of"]

#: How long one executor is waited for while another has work, too (seconds).
_SLICE_S = 2e-3


def part_of(executor: Executor, node: Node) -> Executor:
    """Return the executor that runs a node."""
    return executor.part_of(node) if isinstance(executor, Several) else executor


@define(eq=False)
class _Part:
    """One of the executors: what it has to do, and from which number on its workers are counted."""

    executor: Executor
    unfinished: int = 0
    offset: int = 0


class Several:
    """Runs each node on the executor that it names, and all others on the first.

    An executor whose nodes run in the waiting thread gets its turn when no other has news: while such a node runs, the
    others go on with what they have.
    """

    def __init__(self, name: str, executor: Executor, others: Mapping[str, Executor]) -> None:
        self._main = _Part(executor)
        self._parts = {name: self._main, **{other: _Part(each) for other, each in others.items()}}
        self._homes: list[_Part] = []
        self._inputs: Sequence[DeclaredNames] = ()
        #: What is to be told that no executor tells.
        self._news: list[Event] = []
        self._woken = False
        parts = [part.executor.capabilities for part in self._parts.values()]
        self._usual = self.capabilities = Capabilities(
            reach=max(part.reach for part in parts),
            chains=executor.capabilities.chains,
            definitions=all(part.knows_main for part in parts),
        )
        self.default_catalog = max((part.executor for part in self._parts.values()), key=_reach).default_catalog

    def part_of(self, node: Node) -> Executor:
        """Return the executor that runs a node."""
        return self._part(node).executor

    def _part(self, node: Node) -> _Part:
        wanted = node.policy.executor
        return self._main if wanted is None else self._parts[wanted]

    def validate_nodes(self, nodes: Sequence[Node]) -> None:
        """Have each executor look at the nodes that it is to run; raises what all of them refuse, in one error."""
        complaints = Complaints()
        for part in self._parts.values():
            with complaints.collected():
                part.executor.validate_nodes([node for node in nodes if self._part(node) is part])
        complaints.raise_any()

    def start(self, program: Program, workers: int) -> int:
        """Make each executor ready for its nodes; return how many workers there are in all."""
        assert program.nodes is not None
        self._homes = [self._part(node) for node in program.nodes]
        self._inputs = program.inputs
        self._news.clear()
        total = 0
        # The one that reaches farthest first: its workers are those of whom the catalog hears, under their own numbers.
        for part in sorted(self._parts.values(), key=lambda part: _reach(part.executor), reverse=True):
            part.unfinished, part.offset = 0, total
            mine = [index for index, home in enumerate(self._homes) if home is part]
            if mine:
                total += part.executor.start(_share(program, mine), workers)
        return total

    def submit(self, tasks: Tasks) -> None:
        """Hand each turn to the executor of its node; what another one holds is fetched for it."""
        for part in self._parts.values():
            places = [at for at, index in enumerate(tasks.index) if self._homes[index] is part]
            if places:
                self._submit(part, tasks, places)

    def _submit(self, part: _Part, tasks: Tasks, places: Sequence[int]) -> None:
        index = [tasks.index[at] for at in places]
        chains = {head: tasks.chains[head] for head in index if head in tasks.chains}
        try:
            handles = None if tasks.handles is None else self._here([tasks.handles[at] for at in places], part)
        except DataLost as error:
            if len(places) > 1:
                for at in places:
                    self._submit(part, tasks, [at])
            else:
                self._fail(index[0], tasks, chains, error)
            return
        last = None if tasks.last is None else [tasks.last[at] for at in places]
        part.unfinished += len(index) + sum(len(chain.index) for chain in chains.values())
        part.executor.submit(Tasks(index, handles, last, tasks.attempts, tasks.timeouts, chains))

    def _fail(self, index: int, tasks: Tasks, chains: Mapping[int, Chain], error: DataLost) -> None:
        """Fail a node whose input is lost; what was to follow it straight on comes back."""
        failure = capture(DataLost(names_of(self._inputs[index]), error.how), "load")
        attempt = tasks.attempts.get(index, 1)
        self._news.append(Outcomes.without_result(-1, [index], State.FAILED, failure=failure, attempt=attempt))
        self._news += [Outcomes.without_result(-1, chain.index, State.CANCELLED) for chain in chains.values()]

    def _here(self, rows: Sequence[Sequence[Any]], reader: _Part) -> Sequence[Sequence[Any]]:
        for part in self._parts.values():
            if part is not reader and isinstance(part.executor, HoldingExecutor):
                rows = [part.executor.fetch(row) for row in rows]
        return rows

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Return the events of all executors, waiting for the first."""
        until = None if timeout is None else monotonic() + timeout
        while not self._woken:
            if self._news:
                events, self._news = self._news, []
                return events
            busy = [part for part in self._parts.values() if part.unfinished]
            inline = [part for part in busy if part.executor.capabilities.inline]
            distant = [part for part in busy if part not in inline] or ([] if inline else [self._first_distant()])
            events = self._ask(distant, 0.0 if inline else until, alone=len(distant) == 1)
            if not events and inline:
                events = self._run_here(inline[0])
            if events or (until is not None and monotonic() >= until):
                return events
        self._woken = False
        return ()

    def _first_distant(self) -> _Part:
        return max(self._parts.values(), key=lambda part: not part.executor.capabilities.inline)

    def _ask(self, parts: Sequence[_Part], until: float | None, *, alone: bool) -> list[Event]:
        events: list[Event] = []
        for part in parts:
            left = None if until is None else max(0.0, until - monotonic())
            patience = left if alone else min(_SLICE_S, _SLICE_S if left is None else left)
            events += self._counted(part, part.executor.wait(patience))
        return events

    def _run_here(self, part: _Part) -> list[Event]:
        """Run a node in this thread, where only an exception can end it."""
        self.capabilities = evolve(self._usual, inline=True)
        try:
            return self._counted(part, part.executor.wait(0.0))
        finally:
            self.capabilities = self._usual

    def _counted(self, part: _Part, events: Iterable[Event]) -> list[Event]:
        """Take in what an executor has done, and number its workers after those of the others."""
        counted: list[Event] = []
        for event in events:
            if isinstance(event, Outcomes):
                part.unfinished -= len(event)
            is_known = part.offset and event.worker >= 0  # of some only the end is known
            counted.append(evolve(event, worker=event.worker + part.offset) if is_known else event)
        return counted

    def wake(self) -> None:
        """Make `wait` return."""
        self._woken = True
        for part in self._parts.values():
            part.executor.wake()

    def cancel(self, *, kill: bool) -> None:
        """Take back everywhere what has not started."""
        for part in self._parts.values():
            part.executor.cancel(kill=kill)

    def capacity(self) -> Mapping[str, float]:
        """Say what the biggest worker of the first executor offers."""
        return self._main.executor.capacity()

    def fetch(self, handles: Sequence[Any]) -> Sequence[Any]:
        """Bring handles to the runner that one of the executors holds."""
        for part in self._parts.values():
            if isinstance(part.executor, HoldingExecutor):
                handles = part.executor.fetch(handles)
        return handles

    def shutdown(self, *, cancel: bool = False) -> None:
        """End the workers of all."""
        for part in self._parts.values():
            part.executor.shutdown(cancel=cancel)


def _reach(executor: Executor) -> Reach:
    return executor.capabilities.reach


def _share(program: Program, mine: Sequence[int]) -> Program:
    """Return the program for an executor that runs these nodes: of the others' functions and datasets it has none."""
    used = {program.which[index] for index in mine}
    names = {name for index in mine for side in (program.inputs, program.outputs) for name in names_of(side[index])}
    functions = [function if at in used else _nobody for at, function in enumerate(program.functions)]
    datasets = {name: build for name, build in program.datasets.items() if name in names}
    free = {name: handle for name, handle in program.free.items() if name in names}
    return evolve(program, functions=functions, datasets=datasets, free=free)


def _nobody(*_: object) -> None:
    """Stand for a function that runs elsewhere: the executor that has this was never given its node."""
    raise AssertionError("a node came to an executor that is not its own")
