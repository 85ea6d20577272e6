"""A Dask cluster as a user has it: a scheduler and workers, each started by its command, on the loopback only."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

from watching import wait_until

COMMAND = Path(sys.executable).parent / "dask"
#: How often a task may take its worker down with it before Dask gives it up.
ALLOWED_FAILURES = 2


@contextmanager
def cluster(folder, workers=2):
    """Run a cluster; yield its scheduler file and what starts one more worker.

    Workers have nannies, which start another when one dies.
    """
    file = folder / "scheduler.json"
    processes = []

    def start(name, *arguments):
        environment = {
            **os.environ,
            "DASK_TEMPORARY_DIRECTORY": str(folder),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(ALLOWED_FAILURES),
            "DASK_DISTRIBUTED__SCHEDULER__EVENTS_CLEANUP_DELAY": "0s",
        }
        with (folder / f"{name}.log").open("wb") as log:
            command = [COMMAND, *arguments, "--no-dashboard"]
            processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        return processes[-1]

    def start_worker(*arguments):
        name = f"w{len(processes)}"
        options = ["--nthreads", "1", "--memory-limit", "2GB", "--local-directory", folder]
        return start(name, "worker", "--scheduler-file", file, "--name", name, *options, *arguments)

    try:
        start("scheduler", "scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", file)
        for _ in range(workers):
            start_worker("--resources", "GPU=1")
        wait_until(lambda: file.exists() and file.read_text().endswith("}"), "the scheduler")
        yield file, start_worker
    finally:
        stop(processes[::-1])


def stop(processes):
    for process in processes:
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def address(file):
    return json.loads(file.read_text())["address"]
