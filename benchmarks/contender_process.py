"""The measuring side of a contender's process: start it, have it run, end it with all that it started."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from functools import cache
from multiprocessing import Pipe
from pathlib import Path

from benchmarks.processes import of_session

ROOT = Path(__file__).parents[1]
#: Seconds after which a contender that does not answer is given up.
PATIENCE_S = 900
#: Seconds that a contender which stood still gets to catch up with its own clocks.
SETTLE_S = 0.5
#: A network of its own, with nothing but the loopback in it.
ALONE = ("unshare", "--net", "--map-root-user", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


class ContenderError(Exception):
    """A contender did not do what it was told, for the reason given."""


class ContenderProcess:
    """A process in which one contender runs one graph, in one mode; `start` returns before it is ready."""

    def __init__(self, contender, mode):
        self.contender, self.mode = contender, mode
        # A short path: some contenders put sockets there.
        self._folder = Path(tempfile.mkdtemp(prefix="kb"))
        self._told, self._process = None, None

    @property
    def pid(self):
        return self._process.pid

    def start(self, graph, workers):
        self._told, theirs = Pipe()
        command = [sys.executable, "-m", "benchmarks.driver", str(theirs.fileno()), self.contender.place, self.mode]
        with theirs, (self._folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [*(ALONE if self.contender.alone else ()), *command],
                cwd=ROOT,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        self._told.send((graph, workers))

    def _environment(self):
        # New processes find the bytecode that those before them made, as they do wherever it is not forbidden.
        kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        return {
            **kept,
            "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
            "TMPDIR": str(self._folder),
            "DASK_TEMPORARY_DIRECTORY": str(self._folder),
            "DASK_DISTRIBUTED__SCHEDULER__WORKER_TTL": "1h",  # a worker that stood still is not a dead one
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
        }

    def ready(self):
        """Wait until the contender is; return the seconds that it took from its first import on."""
        return self._answer("ready")[0]

    def run(self):
        """Return the seconds of a run, what it gave, and the seconds of CPU in the contender's first process."""
        self._told.send("run")
        return self._answer("done")

    @contextmanager
    def awake(self):
        """Let a heavy contender's processes run; outside of this they stand still, for they do not idle for nothing."""
        self._signal_if_heavy(signal.SIGCONT)
        try:
            yield
        finally:
            self._signal_if_heavy(signal.SIGSTOP)

    def _signal_if_heavy(self, number):
        if self.contender.heavy and self._process is not None:
            self._signal(number)
            time.sleep(SETTLE_S if number == signal.SIGCONT else 0)

    def _signal(self, number):
        for pid in of_session(self._process.pid):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def _answer(self, wanted):
        if not self._told.poll(PATIENCE_S):
            raise ContenderError(f"no answer in {PATIENCE_S} s")
        try:
            said, seconds, values, cpu = self._told.recv()
        except (EOFError, ConnectionError):
            raise ContenderError(f"its process ended: {self._last_words()}") from None
        if said != wanted:
            raise ContenderError(str(values))
        return seconds, values, cpu

    def _last_words(self):
        lines = (self._folder / "output").read_text(errors="replace").split("\n")
        return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "without a word")

    def close(self):
        """End the contender, then whatever is left of what it started, and remove its files."""
        if self._process is not None:
            try:
                self._signal(signal.SIGCONT)
                self._told.send("end")
                self._told.poll(30)
                self._process.wait(10)
            except (OSError, subprocess.TimeoutExpired):
                pass
            self._told.close()
            self._end_session()
            self._process = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _end_session(self):
        self._signal(signal.SIGKILL)
        self._process.wait()
        until = time.monotonic() + 10
        while of_session(self._process.pid) and time.monotonic() < until:
            time.sleep(0.01)


@cache
def alone_is_possible():
    if not (shutil.which("unshare") and shutil.which("ip")):
        return False
    return subprocess.run([*ALONE, "true"], check=False, capture_output=True).returncode == 0
