"""Runs the turns of one program in this process, wherever that is.

This and `kernel.turn` are the only place where a node runs; an executor wraps it in a few lines, so hooks, copies,
retries and errors are the same on all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from time import time as clock
from typing import TYPE_CHECKING, Any

from kernel.errors import HookError
from kernel.failure import capture
from kernel.hooks import Hooks
from kernel.specs.tasks import NodeDetails, Program
from kernel.turn import Turn, names_of

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from kernel.datasets import Dataset
    from kernel.nodes import Node
    from kernel.specs.events import Failure, Row

__all__ = ["Worker", "note"]

_PLAIN = NodeDetails()
_notes: ContextVar[dict[str, Any]] = ContextVar("kernel_notes")


def note(key: str, value: Any) -> None:
    """Hand something learnt in a worker to the runner: it arrives in the node's report, as `report.notes[key]`.

    Call it from a node's function or from a listener of a node or dataset hook; `value` must be picklable.
    Raises RuntimeError outside of a node's turn.
    """
    notes = _notes.get(None)
    if notes is None:
        raise RuntimeError("kernel.note() was called outside of a node's turn: there is no report to add it to")
    notes[key] = value


class Worker:
    """Runs turns of one program. Several threads may run turns at once; each turn belongs to one of them."""

    def __init__(self, program: Program, number: int = 0) -> None:
        self.program = program
        self.hooks = program.hooks if program.hooks is not None else Hooks.from_refs(program.listeners)
        self.number = number
        #: Persistent datasets that other processes may write during the run: what is cached of them here may be stale.
        self.written_elsewhere = _handed_on(program)
        self._nodes: dict[int, Node] = dict(enumerate(program.nodes or ()))
        self._datasets: dict[str, Dataset] = {}
        self._pool = _thread_pool() if program.is_async else None
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

    def run(self, index: int, handles: Sequence[Any] = (), last: int = 0, attempt: int = 1) -> Row:
        """Run one turn; never raises. A node that asks for retries is run again, its inputs loaded afresh."""
        details = self.program.details.get(index, _PLAIN)
        if not details.retries:
            return self._attempt(index, handles, last, attempt, details)
        for left in range(details.retries, 0, -1):
            row = self._attempt(index, handles, 0, attempt, details, final=False)
            failure = row[7]
            if failure is None or failure.place == "hook" or failure.type_name in _NOT_RETRIED:
                return row
            attempt += 1
            if left == 1:
                break
        return self._attempt(index, handles, last, attempt, details)

    def _attempt(
        self,
        index: int,
        handles: Sequence[Any],
        last: int,
        attempt: int,
        details: NodeDetails,
        *,
        final: bool = True,
    ) -> Row:
        notes: dict[str, Any] = {}
        token = _notes.set(notes)
        turn = Turn(self, index, details)
        failure: Failure | None = None
        values: list[Any] | None = None
        start = loaded = ran = clock()
        try:
            values = turn.load(handles, last)
            loaded = ran = clock()
            if details.generator:
                turn.run_generator(values)
                ran = clock()
            else:
                outputs = turn.call(values)
                ran = clock()
                turn.save(outputs)
            handles, size = turn.saved()
            if self.written_elsewhere:
                turn.drop_cached()
        except BaseException as error:  # SystemExit and KeyboardInterrupt of a node are that node's error as well
            if final and self.on_failure is not None:
                self.on_failure()
            failure = _failure(error, turn, values)
            handles, size = (), 0
        _notes.reset(token)
        return index, handles, start, loaded, ran, clock(), size, failure, attempt, notes or None, turn.tokens

    def node(self, index: int) -> Node:
        """Return the node for listeners; built from the program's columns when first asked for."""
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


def _failure(error: BaseException, turn: Turn, values: Sequence[Any] | None) -> Failure:
    inputs = dict(zip(turn.inputs, values, strict=True)) if values is not None else None
    failure = capture(error, "hook" if isinstance(error, HookError) else turn.place, inputs)
    turn.drop_saved()
    return failure


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
