"""The `process_pool` executor: runs turns in worker processes, one stream and one shared slot for each."""

from kernel_process_pool.executor import ProcessPoolExecutor

__all__ = ["ProcessPoolExecutor"]
