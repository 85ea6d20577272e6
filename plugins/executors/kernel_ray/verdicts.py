"""What Ray's errors say of a job: its worker was lost, its inputs were, or something else."""

from __future__ import annotations

from kernel.errors import DataLost
from kernel_ray.library import exceptions

__all__ = ["gone", "loss"]

_LOSSES: tuple[tuple[type[Exception], str], ...] = (
    (exceptions.WorkerCrashedError, "its process died"),
    (exceptions.NodeDiedError, "its machine was lost"),
    (exceptions.LocalRayletDiedError, "Ray's own process on its machine died"),
    (exceptions.OutOfMemoryError, "Ray ended it, for its machine ran out of memory"),
)


def loss(error: BaseException) -> str | None:
    """Say how a worker was lost, if that is what the error tells."""
    for kind, how in _LOSSES:
        if isinstance(error, kind):
            return how
    return None


def gone(error: BaseException) -> str | None:
    """Say what became of a value that could not be read, if that is what the error tells."""
    for each in (error, getattr(error, "cause", None)):
        if isinstance(each, DataLost):
            return each.how
        if isinstance(each, exceptions.ObjectLostError):
            return str(each).strip().partition("\n")[0].rstrip(".")
    return None
