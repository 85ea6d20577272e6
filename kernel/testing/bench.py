"""Runs pipelines on the backend under test: through the kernel's own runner, or turn by turn by hand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, field

from kernel import Datasets, Node, Pipeline, Result, Runner
from kernel.hooks import Hooks, Listener
from kernel.program import make_program
from kernel.specs.events import Outcome, Outcomes, State
from kernel.specs.tasks import Tasks, Turn
from kernel.testing.watched import Watched

if TYPE_CHECKING:
    from kernel.specs.catalog import Catalog, Store
    from kernel.specs.executor import Capabilities, Executor
    from kernel.specs.tasks import Program

__all__ = ["Bench", "Drive"]

#: Unless a test says otherwise.
WORKERS = 2


@define(eq=False)
class Drive:
    """A started executor that is driven by hand."""

    pipeline: Pipeline
    executor: Executor
    store: Store
    workers: int
    outcomes: list[Outcome] = field(factory=list[Outcome])
    _turns: dict[int, Turn] = field(init=False, factory=dict[int, Turn])
    _has_cancelled: bool = field(init=False, default=False)

    def submit(self, *names: str, **columns: Any) -> None:
        """Submit nodes, by their names, in one batch; `columns` are those of `Tasks`."""
        index = self.pipeline.plan.index
        tasks = Tasks([index[name] for name in names], **columns)
        self._turns.update((turn.index, turn) for turn in tasks)
        self._has_cancelled = False
        self.executor.submit(tasks)

    def cancel(self, *, kill: bool) -> None:
        """Take back what has not started; until the next turns are submitted, what comes back is an outcome."""
        self._has_cancelled = True
        self.executor.cancel(kill=kill)

    def poll(self, timeout: float | None) -> None:
        """Wait once and keep the outcomes that come.

        A turn that comes back though nobody asked for it is submitted again, as a run does: executors may take turns
        from a worker that is slower than was thought.
        """
        for event in self.executor.wait(timeout):
            if isinstance(event, Outcomes):
                for outcome in event:
                    if outcome.state == State.CANCELLED and not self._has_cancelled:
                        self._submit_again(self._turns[outcome.index])
                    else:
                        self.outcomes.append(outcome)

    def _submit_again(self, turn: Turn) -> None:
        tasks = Tasks([turn.index], [turn.handles], [turn.last], {turn.index: turn.attempt})
        if turn.timeout is not None:
            tasks.timeouts = {turn.index: turn.timeout}
        self.executor.submit(tasks)

    def until(self, done: Callable[[], bool], seconds: float = 20.0) -> None:
        """Go on waiting until `done` says so."""
        until = monotonic() + seconds
        while not done():
            if monotonic() > until:
                pytest.fail(f"after {seconds:g} seconds these outcomes are in: {self.states()}")
            self.poll(0.05)

    def collect(self, number: int) -> list[Outcome]:
        """Wait until so many outcomes are in, and a moment longer: there may be no more than that."""
        self.until(lambda: len(self.outcomes) >= number)
        self.poll(0.05)
        assert len(self.outcomes) == number, self.states()
        return self.outcomes

    def states(self) -> dict[str, list[str]]:
        """Return what came of each node, in order."""
        found: dict[str, list[str]] = {}
        for outcome in self.outcomes:
            found.setdefault(self.name(outcome), []).append(outcome.state.name)
        return found

    def name(self, outcome: Outcome) -> str:
        """Return the name of an outcome's node."""
        return self.pipeline.plan.nodes[outcome.index].name

    def values(self, name: str) -> list[Any]:
        """Load what the one outcome of this node brought."""
        (found,) = [outcome for outcome in self.outcomes if self.name(outcome) == name]
        assert found.state == State.DONE, (name, found.state, found.failure)
        outputs = self.pipeline.plan.outputs[found.index]
        return [self.store.load(output, at) for output, at in zip(outputs, found.handles, strict=True)]

    def names(self, state: State) -> Counter[str]:
        """Count the outcomes of one kind by node."""
        return Counter(self.name(outcome) for outcome in self.outcomes if outcome.state == state)


@define(eq=False)
class Bench:
    """The backend under test. Workers stay warm from one test of a suite to the next, as a warm runner keeps them.

    `folder` is the test's own, for files that tell what ran.
    """

    executor_factory: Callable[[], Executor]
    catalog_factory: Callable[[], Catalog]
    folder: Path
    #: The executor that is kept warm, if there is one: shared by all benches of a suite.
    warm: list[Executor] = field(factory=list["Executor"])

    @property
    def capabilities(self) -> Capabilities:
        """What the executor says that it can do."""
        return (self.warm[0] if self.warm else self.executor_factory()).capabilities

    def run(self, nodes: Sequence[Node], values: Mapping[str, Any] | Datasets | None = None, **options: Any) -> Result:
        """Run nodes on warm workers; `options` are the runner's, and `run_id`.

        Fails where turns and outcomes do not agree.
        """
        watched: list[Watched] = []

        def executor() -> Executor:
            if not self.warm:
                self.warm.append(self.executor_factory())
            watched.append(Watched(self.warm[0], self.warm.clear))
            return watched[0]

        try:
            return self._run(executor, nodes, values, options)
        finally:
            for each in watched:
                complaints = each.complaints()
                assert not complaints, complaints

    def run_cold(
        self, nodes: Sequence[Node], values: Mapping[str, Any] | Datasets | None = None, **options: Any
    ) -> Result:
        """Run nodes on workers of their own, which are gone when this returns."""
        return self._run(self.executor_factory, nodes, values, options)

    def _run(
        self,
        executor: Callable[[], Executor],
        nodes: Sequence[Node],
        values: Mapping[str, Any] | Datasets | None,
        options: Mapping[str, Any],
    ) -> Result:
        settings: dict[str, Any] = {"workers": WORKERS, "plugins": False, **options}
        run_id = settings.pop("run_id", None)
        return Runner(executor, self.catalog_factory, **settings).run(Pipeline(nodes), values, run_id=run_id)

    @contextmanager
    def drive(
        self, nodes: Sequence[Node], values: Mapping[str, Any] | None = None, *, hooks: Sequence[Any] = ()
    ) -> Generator[Drive]:
        """Start a fresh executor for these nodes, and shut it down at the end of the block."""
        executor = self.executor_factory()
        with self.drive_on(executor, nodes, values, hooks=hooks) as drive:
            yield drive

    @contextmanager
    def drive_on(
        self,
        executor: Executor,
        nodes: Sequence[Node],
        values: Mapping[str, Any] | None = None,
        *,
        hooks: Sequence[Any] = (),
        keep: bool = False,
    ) -> Generator[Drive]:
        """Start a given executor for these nodes, and shut it down at the end of the block unless told to `keep` it."""
        catalog = self.catalog_factory()
        pipeline = Pipeline(nodes)
        try:
            program = self._program(pipeline, executor, catalog, values or {}, hooks)
            yield Drive(pipeline, executor, program.store, executor.start(program, WORKERS))
        finally:
            if not keep:
                executor.shutdown(cancel=True)
            catalog.close()

    def _program(
        self,
        pipeline: Pipeline,
        executor: Executor,
        catalog: Catalog,
        values: Mapping[str, Any],
        hooks: Sequence[Any],
    ) -> Program:
        """Do what the runner does before it starts an executor."""
        plan, reach = pipeline.plan, executor.capabilities.reach
        readers = {name: [node.name for node in plan.nodes if name in node.inputs] for name in values}
        catalog.validate_catalog(sorted({*plan.load_counts, *plan.made}), values, reach, readers)
        executor.validate_nodes(plan.nodes)
        store = catalog.open({}, reach, WORKERS)
        free = {name: store.save(name, value) for name, value in values.items()}
        catalog.adopt(free.keys(), free.values())
        return make_program(
            plan,
            run_id="driven by hand",
            is_async=False,
            store=store,
            free=free,
            datasets={},
            hooks=Hooks([Listener(type(each).__name__, each) for each in hooks]),
        )

    def trace(self, name: str) -> int:
        """Say how often a node left a trace under this name."""
        path = self.folder / name
        return path.stat().st_size if path.exists() else 0

    def open_gate(self, gate: str = "gate") -> None:
        """Let the nodes go on that wait for it."""
        (self.folder / gate).touch()

    def close(self) -> None:
        """End the warm workers."""
        while self.warm:
            self.warm.pop().shutdown()
