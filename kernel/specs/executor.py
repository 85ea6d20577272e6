"""What an executor is: it runs turns on workers and says what came of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from attrs import frozen

from kernel.specs.markers import hookspec

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.specs.catalog import Handle
    from kernel.specs.events import Event, Report
    from kernel.specs.tasks import Program, Tasks

__all__ = ["Capabilities", "EarlyExecutor", "Executor", "HoldingExecutor", "Reach", "WorkerHooks"]


class Reach(IntEnum):
    """What a value must cross to get to a worker."""

    THREAD = 0
    PROCESS = 1
    MACHINE = 2


@frozen
class Capabilities:
    """What an executor can do; the kernel asks these and never an executor's name."""

    reach: Reach
    #: Goes straight on to the turns of a chain in the worker that ran its head.
    chains: bool = False
    #: Nodes run in the very thread that calls `wait`: only an exception there can interrupt one.
    inline: bool = False
    #: Can stop a running node: time limits and a second Ctrl-C reach it.
    kill: bool = False
    #: Runs a lost turn again by itself; otherwise the runner does.
    recovers: bool = False
    #: Which of a node's wishes it grants: `resources`, `fresh_process`.
    policies: frozenset[str] = frozenset()
    #: The most unfinished turns it should hold (None: as many as are ready).
    window: int | None = None
    #: Knows by itself how many workers there are; the CPUs of the runner's machine are no bound.
    sizes: bool = False
    #: After a failure nothing starts before the runner has heard of it. Otherwise what was sent ahead may.
    prompt: bool = True
    #: Knows which turn a lost worker was running. Otherwise others run again with it.
    blames: bool = True
    #: Tells a worker's listeners that it ends.
    farewell: bool = True
    #: Its workers have what the main module defines, under its name. Otherwise values of it travel by value.
    definitions: bool = False

    @property
    def knows_main(self) -> bool:
        """Whether whoever runs nodes finds what the main module defines under its name."""
        return self.definitions or self.reach == Reach.THREAD


class Executor(Protocol):
    """Runs turns. Built as `factory(**options)`; every method but `wake` is called from one thread.

    The rule above all others: each submitted turn yields exactly one outcome, cancelled and lost ones too.
    """

    capabilities: Capabilities
    #: The name of the catalog that is used with it when none is named.
    default_catalog: str

    def validate_nodes(self, nodes: Sequence[Node]) -> None:
        """Raise one `ValidationError` with every node that cannot run here; the text says which executor would do."""
        ...

    def start(self, program: Program, workers: int) -> int:
        """Make ready for a run on at most `workers` workers; return how many there will be.

        Called again, with another program, for the next run of a runner that is kept warm.
        """
        ...

    def submit(self, tasks: Tasks) -> None:
        """Take turns to run; returns at once."""
        ...

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Return all events that are in, waiting for the first; empty after `timeout` seconds or `wake()`."""
        ...

    def wake(self) -> None:
        """Make a `wait` return, now or the next one. Safe from any thread and from a signal handler."""
        ...

    def cancel(self, *, kill: bool) -> None:
        """Take back every turn that has not started; with `kill`, interrupt those that run, too, as Ctrl-C would.

        Each yields its outcome as ever: CANCELLED, or whatever it came to.
        """
        ...

    def capacity(self) -> Mapping[str, float]:
        """Say what the biggest worker offers: cpu, memory (bytes), gpu, anything; known after `start`."""
        ...

    def shutdown(self, *, cancel: bool = False) -> None:
        """End the workers; with `cancel`, at once. May be called twice."""
        ...


@runtime_checkable
class HoldingExecutor(Protocol):
    """An executor that keeps handles itself, with its workers, and gives the runner references to them."""

    def fetch(self, handles: Sequence[Handle]) -> Sequence[Handle]:
        """Bring handles to the runner: those of the run's outputs, at its end. Raises `DataLost` when one is gone."""
        ...


@runtime_checkable
class EarlyExecutor(Protocol):
    """An executor that can begin with what takes long, such as starting processes, before it knows what to run."""

    def prepare(self, workers: int | None, *, loading: bool) -> None:
        """Begin, for at most `workers` workers (None: not said); what cannot be had yet is no error.

        Called in the runner's process before each run is planned and, `loading`, before a project is imported. `start`
        follows, or the same once more where the run is refused, or `shutdown`.
        """
        ...


class WorkerHooks:
    """Hooks around workers and turns. The first two are called in the worker, the others in the runner's process."""

    @hookspec
    def after_worker_start(self, worker: int, run_id: str) -> None:
        """Listen to a worker that is ready for a run, before its first node: open a connection, set a seed."""

    @hookspec
    def before_worker_stop(self, worker: int, run_id: str) -> None:
        """Listen to a worker that ends in good order: flush, close."""

    @hookspec
    def on_task_submitted(self, node: Node, attempt: int) -> None:
        """Listen to a node handed to the executor."""

    @hookspec
    def on_task_done(self, node: Node, report: Report, error: BaseException | None) -> None:
        """Listen to what came of a node; `report.notes` holds what listeners said with `kernel.note` in the worker."""

    @hookspec
    def on_node_repeated(self, node: Node, attempt: int) -> None:
        """Listen to a node that was done and that an engine ran again, since its result was lost with a worker."""

    @hookspec
    def on_worker_lost(self, worker: int, node: Node | None, error: BaseException) -> None:
        """Listen to a worker's death and the node it was running, if any."""
