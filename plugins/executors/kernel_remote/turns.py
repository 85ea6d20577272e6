"""Turns as they are sent to a worker, and rows as they come back."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, Any

from kernel.failure import capture
from kernel.specs.events import Failure

if TYPE_CHECKING:
    from kernel.specs.events import Row
    from kernel.specs.tasks import Chain, Tasks

__all__ = ["FOLLOWS", "INNER", "Sent", "packed", "plain", "sendable", "too_long"]

#: What is said of a turn that is sent: it goes on with the chain of the turn before it; its output is for the next one
#: only.
FOLLOWS, INNER = 1, 2

#: A turn as the worker takes it: index, handles, last, attempt, flags.
Sent = tuple[int, Sequence[Any], int, int, int]


def plain(nodes: Sequence[int]) -> list[Sent]:
    """Make what is sent of nodes of which there is nothing to say but their numbers."""
    return list(zip(nodes, repeat(()), repeat(0), repeat(1), repeat(0)))


def packed(tasks: Tasks) -> Iterator[tuple[int, Sequence[Sent]]]:
    """Make what is sent of each node of a batch: its turn, and those that follow in its chain."""
    attempts, chains = tasks.attempts, tasks.chains
    handles = repeat(()) if tasks.handles is None else tasks.handles
    last = repeat(0) if tasks.last is None else tasks.last
    for index, made, final in zip(tasks.index, handles, last):  # noqa: B905 - what is usual has no end
        chain = chains.get(index)
        inner = 0 if chain is None else chain.inner
        turns: list[Sent] = [(index, made, final, attempts.get(index, 1), INNER if inner & 1 else 0)]
        if chain is not None:
            turns += _followers(chain, attempts)
        yield index, turns


def _followers(chain: Chain, attempts: Mapping[int, int]) -> Iterator[Sent]:
    inner = chain.inner
    for index, made, final in zip(chain.index, chain.handles, chain.last, strict=True):
        inner >>= 1
        yield index, made, final, attempts.get(index, 1), FOLLOWS | (INNER if inner & 1 else 0)


def sendable(row: Row) -> Row:
    """Return the row of a turn that noted something, or its failure where that cannot be carried to the runner."""
    try:
        pickle.loads(pickle.dumps(row[9:], 5))
    except Exception as error:  # whatever a noted object's pickling raises is the node's error
        error.add_note("kernel.note() was given this value; note something that can be pickled")
        return (row[0], (), *row[2:6], 0, capture(error, "hook"), row[8], None, None)
    return row


def too_long(limit: float) -> Failure:
    """Make the failure of a turn that was stopped at its limit (seconds)."""
    text = f"it took longer than its limit of {limit:g} s and was stopped"
    return Failure("timeout", "TimeoutError", text, pickled=pickle.dumps(TimeoutError(text)))
