"""Ray itself, which has hardly any types, and what of it is not public: all of that is here."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any

__all__ = ["drop_marks", "exceptions", "marks", "ray", "same_environment", "set_mark", "tries"]

ray: Any = import_module("ray")
exceptions: Any = import_module("ray.exceptions")
#: The store of the cluster's head, in which libraries of Ray's own keep small things.
_put, _list, _delete = map(
    import_module("ray.experimental.internal_kv").__dict__.__getitem__,
    ("_internal_kv_put", "_internal_kv_list", "_internal_kv_del"),
)
_NAMESPACE = b"kernel"


def set_mark(mark: str) -> None:
    """Put up a mark that every process of the cluster can see."""
    _put(mark, b"", namespace=_NAMESPACE)


def marks(prefix: str) -> Sequence[str]:
    """List the marks that begin like this."""
    return [mark.decode() for mark in _list(prefix, namespace=_NAMESPACE)]


def drop_marks(prefix: str) -> None:
    """Take the marks down that begin like this."""
    _delete(prefix, del_by_prefix=True, namespace=_NAMESPACE)


def tries() -> int:
    """Say how often the task that runs here was started before, as far as this version of Ray tells."""
    worker = import_module("ray._private.worker").global_worker
    count = getattr(worker.core_worker, "get_current_task_attempt_number", None)
    return int(count()) if count is not None else 0


@contextmanager
def same_environment() -> Generator[None]:
    """Have `ray.init` start workers as it starts them elsewhere, although `uv run` has started this process.

    Ray would give each its own copy of the project and have uv make an environment there, from the network.
    """
    constants, name = import_module("ray._private.ray_constants").__dict__, "RAY_ENABLE_UV_RUN_RUNTIME_ENV"
    before = constants.get(name)
    constants[name] = False
    try:
        yield
    finally:
        constants[name] = before
