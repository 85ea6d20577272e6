"""What Ray's workers run: one remote function for all jobs."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from kernel_ray.kept import Again, Kept
from kernel_ray.library import ray, set_mark, tries
from kernel_remote.booth import MISSING, run_job

__all__ = ["Returned", "work"]

#: The first of what a job returns: its report, how often it was started before, what was run again for it.
Returned = tuple[bytes, int, Sequence[Again]]


def work(
    key: str, parcel: Sequence[Any], number: int, turns: bytes, started: str, *held: Any
) -> tuple[Returned, Kept | None]:
    """Run a job. `parcel` holds a reference to the program, which is only read where the program is not known yet.

    `started` is where to say that it has begun; empty: nobody wants to know.
    """
    before = tries()
    if started:
        set_mark(f"{started}{number}/{before}")
    if before:
        turns = _repeated(turns, before)
    data, large = run_job(key, None, turns, *held)
    if data == MISSING:
        data, large = run_job(key, ray.get(parcel[0]), turns, *held)
    again = [each for kept in held for each in kept.again]
    mine = [(number, before, data)] if before else []
    return (data, before, again), Kept(large, again + mine) if large else None


def _repeated(turns: bytes, before: int) -> bytes:
    """Count the tries before this one among the attempts of its turns."""
    packed = pickle.loads(turns)
    return pickle.dumps(
        [([(i, handles, last, at + before, flags) for i, handles, last, at, flags in sent], b) for sent, b in packed], 5
    )
