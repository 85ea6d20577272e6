"""What Ray's workers run: one remote function for all jobs."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from kernel_ray.kept import Again, Kept
from kernel_ray.library import ray, set_mark, tries
from kernel_remote.booth import MISSING, run_job

__all__ = ["Returned", "work"]

#: The first of what a job returns: its report. Where there is more to say, how often it was started before, and what
#: was run again for it, come with that. (Plain bytes cost Ray and the runner the least.)
Returned = bytes | tuple[bytes, int, Sequence[Again]]


def work(parcel: Sequence[Any], job: bytes, *held: Any) -> tuple[Returned, Kept | None]:
    """Run a job: the key of its program, its number, where to say that it has begun (if anywhere), its turns.

    `parcel` holds a reference to the program, which is only read where that is not known yet.
    """
    key, number, started, turns = pickle.loads(job)
    before = tries()
    if started:
        set_mark(f"{started}{number}/{before}")
    if before:
        turns = _repeated(turns, before)
    data, large = run_job(key, None, turns, *held)
    if data == MISSING:
        data, large = run_job(key, ray.get(parcel[0]), turns, *held)
    again = [each for kept in held if kept is not None for each in kept.again]
    mine = [(number, before, data)] if before else []
    report = (data, before, again) if before or again else data
    return report, Kept(large, again + mine) if large or before else None


def _repeated(turns: bytes, before: int) -> bytes:
    """Count the tries before this one among the attempts of its turns."""
    packed = pickle.loads(turns)
    return pickle.dumps(
        [([(i, handles, last, at + before, flags) for i, handles, last, at, flags in sent], b) for sent, b in packed], 5
    )
