"""CPU time of imports in new interpreters, their bytecode compiled before."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile

STATEMENTS = {
    "bare interpreter": "pass",
    "import attrs, pluggy": "import attrs, pluggy",
    "from kernel import node, pipeline, run": "from kernel import node, pipeline, run",
}


def cpu_seconds(statement, bytecode):
    """Return user and system time of one interpreter."""
    # A folder of our own for bytecode: whatever the environment says of it, it is there from the second time on.
    command = [sys.executable, "-I", "-X", f"pycache_prefix={bytecode}", "-c", statement]
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{statement!r} ended with {process.returncode}")
    return usage.ru_utime + usage.ru_stime


def measure(repetitions):
    """Return the seconds of each repetition by statement."""
    seconds = {name: [] for name in STATEMENTS}
    with tempfile.TemporaryDirectory() as bytecode:
        for statement in STATEMENTS.values():
            cpu_seconds(statement, bytecode)
        for _ in range(repetitions):
            for name, statement in STATEMENTS.items():
                seconds[name].append(cpu_seconds(statement, bytecode))
    return seconds
