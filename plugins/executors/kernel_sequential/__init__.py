"""The `sequential` executor: runs turns one after another in the thread of the runner."""

from kernel_sequential.executor import SequentialExecutor

__all__ = ["SequentialExecutor"]
