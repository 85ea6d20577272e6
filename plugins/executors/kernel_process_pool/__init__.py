"""The `process_pool` executor: runs turns in worker processes, one stream and one shared slot for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel_process_pool.executor import ProcessPoolExecutor

__all__ = ["ProcessPoolExecutor"]


def __getattr__(name: str) -> Any:
    """Load the runner's side when it is asked for: a worker, which needs the other side only, starts without it."""
    if name != "ProcessPoolExecutor":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from kernel_process_pool.executor import ProcessPoolExecutor  # noqa: PLC0415 - that is the purpose

    return ProcessPoolExecutor
