"""The `futures` executor: runs nodes on any pool that has the methods of `concurrent.futures.Executor`."""

from __future__ import annotations

from kernel_futures.executor import FuturesExecutor

__all__ = ["FuturesExecutor"]
