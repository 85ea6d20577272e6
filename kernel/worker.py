"""Runs the turns of one program in this process, wherever that is.

This, `kernel.turn` and `kernel.quiet` are the only place where a node runs; an executor wraps it in a few lines, so
hooks, copies, retries and errors are the same on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import copy_context
from time import time as clock
from typing import TYPE_CHECKING, Any

from kernel.nodes.calling import names_of
from kernel.notes import note, noted
from kernel.quiet import run_quietly
from kernel.specs.callers import Callers
from kernel.specs.tasks import NodeDetails, Program
from kernel.turn import Turn, failure_of
from kernel.values.libraries import register

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from kernel.datasets import Dataset
    from kernel.nodes import Node
    from kernel.specs.events import Failure, Row
    from kernel.specs.tasks import ListenerRef

__all__ = ["Worker", "note"]

_PLAIN = NodeDetails()
#: A listener to any of these hears of each turn.
_TURN_HOOKS = (
    "before_node_run",
    "after_node_run",
    "on_node_error",
    "before_dataset_loaded",
    "after_dataset_loaded",
    "before_dataset_saved",
    "after_dataset_saved",
)


class Worker:
    """Runs turns of one program. Several threads may run turns at once; each turn belongs to one of them."""

    def __init__(self, program: Program, number: int = 0) -> None:
        register(program.values)
        self.program = program
        self.hooks: Callers = program.hooks if program.hooks is not None else _hooks(program.listeners)
        self.number = number
        #: Persistent datasets that other processes may write during the run: what is cached of them here may be stale.
        self.written_elsewhere = _handed_on(program)
        self._nodes: dict[int, Node] = {}
        self._datasets: dict[str, Dataset] = {}
        self._pool = _thread_pool() if program.is_async else None
        self._is_quiet = not program.is_async and all(getattr(self.hooks, name) is None for name in _TURN_HOOKS)
        #: Called at once when a turn has failed for good, before anything is made of its error: whoever runs turns
        #: beside this one may want to start nothing more.
        self.on_failure: Callable[[], None] | None = None

    def start(self) -> None:
        """Tell listeners that this worker is ready."""
        if self.hooks.after_worker_start is not None:
            self.hooks.after_worker_start(worker=self.number, run_id=self.program.run_id)

    def stop(self) -> None:
        """Let go of this worker's threads and tell listeners that it ends."""
        if self._pool is not None:
            self._pool.shutdown()
        if self.hooks.before_worker_stop is not None:
            self.hooks.before_worker_stop(worker=self.number, run_id=self.program.run_id)

    def run(
        self,
        index: int,
        handles: Sequence[Any] = (),
        last: int = 0,
        attempt: int = 1,
        made: dict[str, Any] | None = None,
        inner: int = 0,
    ) -> Row:
        """Run one turn; never raises. A node that asks for retries is run again, its inputs loaded afresh.

        For a turn of a chain, `made` has what the turns before it made, and what this one makes is added to it.
        `inner`: the next one has the only use for its output.
        """
        details = self.program.details.get(index)
        plain = self._is_quiet and (details is None or details.is_plain)
        if plain and not (self.program.datasets and self._is_stored(index)):
            return run_quietly(self.program, index, handles, last, attempt, made, inner, self.on_failure)
        details = details or _PLAIN
        made = {} if made is None else made
        for _ in range(details.retries):
            row = self._attempt(index, handles, 0, attempt, details, made, inner, final=False)
            failure = row[7]
            if failure is None or failure.place == "hook" or failure.type_name in _NOT_RETRIED:
                return row
            attempt += 1
        return self._attempt(index, handles, last, attempt, details, made, inner, final=True)

    def _is_stored(self, index: int) -> bool:
        """Say whether a node reads or makes a dataset that does not live in memory."""
        program = self.program
        is_in_memory = program.datasets.keys().isdisjoint
        return not (is_in_memory(names_of(program.inputs[index])) and is_in_memory(names_of(program.outputs[index])))

    def _attempt(
        self,
        index: int,
        handles: Sequence[Any],
        last: int,
        attempt: int,
        details: NodeDetails,
        made: dict[str, Any],
        inner: int,
        *,
        final: bool,
    ) -> Row:
        notes: dict[str, Any] = {}
        token = noted.set(notes)
        turn = Turn(self, index, details)
        failure: Failure | None = None
        values: list[Any] | None = None
        saved: list[Any] | None = []
        size = 0
        start = loaded = ran = clock()
        try:
            values = turn.load(handles, last, made)
            loaded = ran = clock()
            saved, size, ran = self._body(turn, values, made, inner)
        except BaseException as error:  # SystemExit and KeyboardInterrupt of a node are that node's error as well
            turn.end_if_forked(error)
            if final and self.on_failure is not None:
                self.on_failure()
            failure = failure_of(self.program, error, turn.place, turn.inputs, values)
            turn.drop_saved()
        noted.reset(token)
        return index, saved, start, loaded, ran, clock(), size, failure, attempt, notes or None, turn.tokens

    def _body(
        self, turn: Turn, values: list[Any], made: dict[str, Any], inner: int
    ) -> tuple[list[Any] | None, int, float]:
        """Run a turn from its loaded inputs on; return its handles (None: held), their bytes and when it had run."""
        if turn.details.generator:
            turn.run_generator(values)
            ran = clock()
        else:
            outputs = turn.call(values)
            ran = clock()
            values.clear()  # large inputs need not stay while outputs are saved
            held = turn.hold(outputs) if inner else None
            if held is not None:
                made[turn.outputs[0]] = held
                return None, 0, ran
            turn.save(outputs)
        if self.written_elsewhere:
            turn.drop_cached()
        return *turn.saved(made), ran

    def node(self, index: int) -> Node:
        """Return the node for listeners; built from the program's columns when first asked for."""
        if self.program.nodes is not None:
            return self.program.nodes[index]
        node = self._nodes.get(index)
        if node is None:
            from kernel.program import node_of  # noqa: PLC0415 - workers without listeners need no nodes

            node = self._nodes[index] = node_of(self.program, index)
        return node

    def dataset(self, name: str) -> Dataset:
        """Return this process's own object for a persistent dataset."""
        dataset = self._datasets.get(name)
        if dataset is None:
            dataset = self._datasets[name] = self.program.datasets[name]()
        return dataset

    def in_threads(self, call: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Call in threads and wait for all; return the results in order or raise the first failure in order."""
        if len(arguments) <= 1:
            return [call(*each) for each in arguments]
        assert self._pool is not None
        futures = [self._pool.submit(copy_context().run, call, *each) for each in arguments]
        for future in futures:
            future.exception()
        return [future.result() for future in futures]


def _hooks(listeners: Sequence[ListenerRef]) -> Callers:
    if not listeners:
        return Callers()
    from kernel.hooks import Hooks  # noqa: PLC0415 - most workers have nobody who listens

    return Hooks.from_refs(listeners)


def _handed_on(program: Program) -> frozenset[str]:
    """List the persistent datasets that nodes make for other nodes, in a process that is not the runner's.

    In the runner's own (`nodes` does not travel) all turns share its objects, and it releases them itself.
    """
    if program.nodes is not None or not program.datasets:
        return frozenset()
    made = {name for outputs in program.outputs for name in names_of(outputs)}
    read = {name for inputs in program.inputs for name in names_of(inputs)}
    return frozenset(made & read & program.datasets.keys())


def _thread_pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only asynchronous runs need it

    return ThreadPoolExecutor(thread_name_prefix="kernel-io")


#: An interrupt ends a node for good: a retry would undo what the user asked for.
_NOT_RETRIED = frozenset({"KeyboardInterrupt", "SystemExit"})
