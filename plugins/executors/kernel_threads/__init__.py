"""The `threads` executor: runs turns in threads of the runner's process."""

from kernel_threads.executor import ThreadsExecutor

__all__ = ["ThreadsExecutor"]
