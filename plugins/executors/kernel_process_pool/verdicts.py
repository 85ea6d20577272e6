"""What the runner is told of turns that brought no result: they were lost, stopped, or never started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kernel.errors import KernelError
from kernel.failure import rebuild
from kernel.specs.events import Event, Outcomes, State
from kernel_remote.turns import too_long

if TYPE_CHECKING:
    from kernel.specs.events import Failure
    from kernel_process_pool.workers import WorkerLink
    from kernel_remote.turns import Sent

__all__ = ["cancelled", "not_taken_up", "of_running", "without_result"]


def not_taken_up(worker: int, failure: Failure) -> KernelError:
    """Make the error of a worker that cannot take up the program of the run."""
    error = rebuild(failure, "", worker).cause
    if isinstance(error, KernelError):  # a listener's error, for one, says all that is to be said
        return error
    return KernelError(
        f"worker {worker} could not take up the run: {failure.type_name}: {failure.message}\n{failure.traceback}"
    )


def of_running(link: WorkerLink, turn: Sent) -> Outcomes:
    """Say what became of the turn that a worker was running when it died."""
    node, attempt = turn[0], turn[3]
    if link.ended_for is None or link.limit is None:
        return Outcomes.without_result(link.number, (node,), State.LOST, attempt=attempt)
    failure = too_long(link.limit)
    return Outcomes.without_result(link.number, (node,), State.FAILED, failure=failure, attempt=attempt)


def cancelled(nodes: Sequence[int], worker: int = 0) -> list[Event]:
    """Say of nodes that they have not started and are with nobody."""
    return without_result(worker, nodes, State.CANCELLED)


def without_result(worker: int, nodes: Sequence[int], state: State) -> list[Event]:
    """Say this of all these nodes."""
    return [Outcomes.without_result(worker, nodes, state)] if nodes else []
