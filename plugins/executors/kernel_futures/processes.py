"""The processes of a pool that has some: whether one has died, and how all of them are ended at once.

Pools of the standard library and of loky have a thread that reads results from a pipe. A process that dies in the
middle of a result leaves it waiting for the rest, for the end that is written to is open in this process, too: then the
pool never says that it is broken, and the thread keeps the interpreter from ending. So that end is closed here. But
loky's thread closes it as well, perhaps at this moment, and a number that is closed twice may be another file's by the
second time: that is why a pool's pipe is prepared when the pool is new.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Executor as Pool
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import cast

__all__ = ["end_at_once", "end_in_time", "has_dead_process", "has_processes", "prepare"]

#: How long the processes of a pool may take to end when it is shut down (seconds). They wait for what nodes have left:
#: threads that are no daemons, and children of `multiprocessing`.
_PATIENCE_S = 5.0

_log = logging.getLogger("kernel")


def prepare(pool: Pool) -> None:
    """Make sure that the end of a new pool's pipe that this process could write to is closed once, by whomever."""
    writer = _result_writer(pool)
    if writer is None or "_close" in vars(writer):  # a factory may hand out the same pool again
        return
    with suppress(OSError):  # it is closed already
        vars(writer)["_close"] = _ClosesOnce(writer.fileno())


def has_processes(pool: Pool | None) -> bool:
    """Say whether a pool is of those that are known to have processes of this machine, also when it is broken."""
    return hasattr(pool, "_executor_manager_thread")


def has_dead_process(pool: Pool) -> bool:
    """Say whether a process has ended that the pool counts among its own."""
    sentinels = [process.sentinel for process in _processes(pool)]
    return bool(sentinels) and bool(wait(sentinels, 0))


def end_at_once(pool: Pool) -> None:
    """Shut a pool down without waiting for it; kill the processes that it has, and let its thread see their end."""
    processes = _processes(pool)  # both are forgotten by a pool that is shut down
    writer = _result_writer(pool)
    pool.shutdown(wait=False)
    for process in processes:
        if not wait([process.sentinel], 0):  # the number of one that is dead may be another's by now
            _kill(process)
    if processes and writer is not None:
        writer.close()


def end_in_time(pool: Pool) -> None:
    """Shut a pool down and wait for it, but kill those of its processes that do not end in time."""
    processes = _processes(pool)  # this and the next two are forgotten by a pool that is shut down
    writer = _result_writer(pool)
    thread: object = getattr(pool, "_executor_manager_thread", None)
    if not processes or not isinstance(thread, threading.Thread):
        pool.shutdown(wait=True)
        return
    pool.shutdown(wait=False)
    thread.join(_PATIENCE_S)
    if not thread.is_alive():
        return
    left = [process for process in processes if not wait([process.sentinel], 0)]
    _log.warning(
        "%d of the pool's %d processes are still there %g s after the run: nodes have left threads or children that do "
        "not end. They are killed.",
        len(left),
        len(processes),
        _PATIENCE_S,
    )
    for process in left:
        _kill(process)
    if writer is not None:
        writer.close()
    thread.join(_PATIENCE_S)


class _ClosesOnce:
    """Closes a descriptor when it is first called: of two threads, one finds it in the list."""

    def __init__(self, descriptor: int) -> None:
        self._open = [descriptor]

    def __call__(self) -> None:
        with suppress(IndexError):
            os.close(self._open.pop())


def _result_writer(pool: Pool) -> Connection | None:
    writer: object = getattr(getattr(pool, "_result_queue", None), "_writer", None)
    return writer if isinstance(writer, Connection) else None  # pyright: ignore[reportUnknownVariableType] - whatever it sends


def _processes(pool: Pool) -> Sequence[BaseProcess]:
    found: object = getattr(pool, "_processes", None)
    if not isinstance(found, dict):
        return []
    processes = list(cast("dict[object, object]", found).values())
    return [each for each in processes if isinstance(each, BaseProcess) and each.pid is not None]


def _kill(process: BaseProcess) -> None:
    """Kill a process; loky's cannot do that by themselves."""
    assert process.pid is not None
    if sys.platform == "win32":
        process.terminate()
    else:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
