"""CPU time of imports in new interpreters, their bytecode compiled before."""

from __future__ import annotations

import sys
import tempfile

from benchmarks.figures import figures, row
from benchmarks.trees import cpu_seconds

STATEMENTS = ("pass", "import attrs, pluggy", "from kernel import node, pipeline, run")


def measure(settings):
    seconds = {statement: [] for statement in STATEMENTS}
    with tempfile.TemporaryDirectory() as bytecode:
        for turn in range(4 if settings.quick else 16):
            for statement in STATEMENTS:
                # A folder of our own for bytecode: whatever the environment says, it is there from the second time on.
                spent = cpu_seconds([sys.executable, "-I", "-X", f"pycache_prefix={bytecode}", "-c", statement])
                if turn:
                    seconds[statement].append(spent)
    rows = [row(f"`python -c '{statement}'`", median=found, least=[min(found)]) for statement, found in seconds.items()]
    reference = (rows[0]["name"], "median")
    return figures("CPU time of imports", rows, columns=("median", "least"), reference=reference)
