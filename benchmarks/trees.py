"""What a command costs with all that it starts: run as `python -m benchmarks.trees COMMAND...`, prints CPU seconds."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
from pathlib import Path

#: `prctl` of Linux: processes whose parents have ended become this process's children.
SUBREAPER = 36


def cpu_seconds(command, **options):
    """Return user and system time of a command and of all its descendants; raise what it said if it failed."""
    with tempfile.TemporaryFile("w+") as output:
        measuring = [sys.executable, "-I", str(Path(__file__)), *map(str, command)]
        done = subprocess.run(measuring, stdout=subprocess.PIPE, stderr=output, text=True, check=False, **options)
        if done.returncode:
            output.seek(0)
            raise RuntimeError(f"{command} ended with {done.returncode}: {output.read()[-2000:]}")
    return float(done.stdout)


def main():
    ctypes.CDLL(None).prctl(SUBREAPER, 1)
    process = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
    spent, code = 0.0, 1
    while True:
        try:
            pid, status, usage = os.wait4(-1, 0)
        except ChildProcessError:
            break
        # A child's figures have those of the children in it that it waited for.
        spent += usage.ru_utime + usage.ru_stime
        if pid == process.pid:
            code = process.returncode = os.waitstatus_to_exitcode(status)
    if not code:
        print(spent)
    sys.exit(code)


if __name__ == "__main__":
    main()
