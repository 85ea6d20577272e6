"""What Ray's workers run: one remote function for all jobs."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

import ray
from ray.experimental import internal_kv

from kernel_ray.kept import Again, Kept
from kernel_remote.booth import MISSING, run_job

__all__ = ["NAMESPACE", "Returned", "work"]

#: Where jobs with a time limit say that they have started, in the store of the cluster's head.
NAMESPACE = b"kernel"

#: The first of what a job returns: its report, which try it was (0: the first), what was run again for it.
Returned = tuple[bytes, int, Sequence[Again]]


def work(
    key: str, parcel: Sequence[Any], number: int, turns: bytes, started: str, *held: Any
) -> tuple[Returned, Kept | None]:
    """Run a job. `parcel` holds a reference to the program, which is only read where the program is not known yet.

    `started` is where to say that it has begun; empty: nobody wants to know.
    """
    tries = _tries()
    if started:
        internal_kv._internal_kv_put(f"{started}{number}/{tries}", b"", namespace=NAMESPACE)  # noqa: SLF001 - experimental
    if tries:
        turns = _repeated(turns, tries)
    data, large = run_job(key, None, turns, *held)
    if data == MISSING:
        data, large = run_job(key, ray.get(parcel[0]), turns, *held)
    again = [each for kept in held for each in kept.again]
    mine = [(number, data)] if tries else []
    return (data, tries, again), Kept(large, again + mine) if large else None


def _tries() -> int:
    """Say how often this very task was started before, as far as this version of Ray tells."""
    worker: Any = ray._private.worker.global_worker  # noqa: SLF001 - there is no public way
    count = getattr(worker.core_worker, "get_current_task_attempt_number", None)
    return count() if count is not None else 0


def _repeated(turns: bytes, tries: int) -> bytes:
    """Count the tries before this one among the attempts of its turns."""
    packed = pickle.loads(turns)
    return pickle.dumps(
        [([(i, handles, last, at + tries, flags) for i, handles, last, at, flags in sent], b) for sent, b in packed], 5
    )
