"""A process of its own that notes how much memory a contender's processes take: `python -m benchmarks.sampler PID`.

Prints a line for each look, until its standard input is closed: the time (`time.monotonic`), the sum of the
proportional set sizes of the session's processes, and the shared memory of the whole machine, both in bytes.
"""

from __future__ import annotations

import select
import subprocess
import sys
import time
from pathlib import Path

from attrs import frozen

from benchmarks.processes import of_session, proportional_bytes

#: Seconds between looks; looking itself takes some milliseconds.
PAUSE_S = 0.005
#: Every so many looks the processes are listed anew.
LISTED = 10


@frozen
class Sample:
    time: float
    used: int
    shared: int


class Sampler:
    """Samples while it is open; `samples` are there once it is closed."""

    def __init__(self, pid):
        self._command = [sys.executable, "-m", "benchmarks.sampler", str(pid)]
        self.samples = []

    def __enter__(self):
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1]
        )
        self._first = self._process.stdout.readline()  # it is at work from here on
        return self

    def __exit__(self, *_):
        said, _ = self._process.communicate()
        for line in [self._first, *said.splitlines()]:
            when, used, shared = line.split()
            self.samples.append(Sample(float(when), int(used), int(shared)))


def main():
    leader = int(sys.argv[1])
    lines, looks = [], 0
    while not select.select([sys.stdin], [], [], PAUSE_S)[0]:
        if looks % LISTED == 0:
            pids = of_session(leader)
        looks += 1
        line = f"{time.monotonic()} {proportional_bytes(pids)} {shared_bytes()}"
        if looks == 1:
            print(line, flush=True)
        else:
            lines.append(line)  # not written now: nobody reads before the end
    print("\n".join(lines))


def shared_bytes():
    lines = Path("/proc/meminfo").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Shmem:"))


if __name__ == "__main__":
    main()
