"""A cluster on this machine for one executor, kept by a process of its own.

That process ends the cluster when its standard input is closed, so whatever ends the runner ends the cluster. And it
has no main module: Dask's workers import that of the process that starts them, which for a user's script would mean to
run it again.
"""

from __future__ import annotations

import logging
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from kernel.errors import KernelError

__all__ = ["OwnCluster", "keep"]

#: How long the cluster may take to end in good order (seconds).
_PATIENCE_S = 2.0


class OwnCluster:
    """Single-threaded worker processes and their scheduler, reachable from this machine only."""

    def __init__(self, workers: int, timeout: float) -> None:
        self.workers = workers
        self._folder = tempfile.mkdtemp(prefix="kernel-dask-")
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {__name__} import keep; keep()", self._folder, str(workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                "DASK_TEMPORARY_DIRECTORY": self._folder,
            },
            start_new_session=True,  # a Ctrl-C at the terminal is the runner's to deal with
        )
        try:
            self.address = self._told(timeout)
        except BaseException:
            self.close(cancel=True)
            raise

    def _told(self, timeout: float) -> str:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:  # `select.select` takes no descriptor above 1,023
            selector.register(self._process.stdout, selectors.EVENT_READ)
            ready = selector.select(timeout)
        line = self._process.stdout.readline().decode().strip() if ready else ""
        if not line:
            raise KernelError(
                f"a local Dask cluster of {self.workers} workers could not be started"
                + ("" if ready else f" within {timeout:g} seconds")
            )
        return line

    def close(self, *, cancel: bool) -> None:
        """End the cluster; with `cancel`, kill it. May be called twice."""
        process = self._process
        if process.stdin is not None and not process.stdin.closed:
            process.stdin.close()
        if not cancel:
            with suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE_S)
        _kill_session(process.pid)
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        shutil.rmtree(self._folder, ignore_errors=True)


def _kill_session(leader: int) -> None:
    """Kill whoever is left of them, but for Python's resource tracker: that one removes their semaphores, and ends."""
    found = list(Path("/proc").glob("[0-9]*/stat"))
    if not found:  # no such list here
        with suppress(ProcessLookupError):
            os.killpg(leader, signal.SIGKILL)
    with suppress(ProcessLookupError):
        os.kill(leader, signal.SIGKILL)  # first: it is who starts the others, and starts those again that end
    for stat in found:
        with suppress(OSError):  # it ended meanwhile
            session = int(stat.read_bytes().rpartition(b") ")[2].split()[3])
            if session == leader and b"resource_tracker" not in (stat.parent / "cmdline").read_bytes():
                os.kill(int(stat.parent.name), signal.SIGKILL)


def keep() -> None:
    """Be that process: keep a cluster, in the folder and of the size that the arguments say, until nobody wants it."""
    folder, workers = sys.argv[1], int(sys.argv[2])
    distributed: Any = import_module("distributed")
    http = {"dashboard": False, "dashboard_address": "127.0.0.1:0"}
    try:
        with distributed.LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            scheduler_kwargs=http,
            local_directory=folder,
            silence_logs=logging.ERROR,
            worker_dashboard_address="127.0.0.1:0",
        ) as cluster:
            sys.stdout.write(f"{cluster.scheduler_address}\n")
            sys.stdout.flush()
            sys.stdin.read()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
