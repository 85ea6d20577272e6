"""What a node of a layered graph takes in the memory of the runner's process, as Python's allocator counts it."""

from __future__ import annotations

import json
import subprocess
import sys

from benchmarks.contender_process import ROOT
from benchmarks.figures import figures

STEPS = ("nodes", "pipeline and plan", "most during a run, beside those", "result and report, kept after it")


def measure(settings):
    sizes = (300, 1_000) if settings.quick else (1_000, 10_000, 100_000)
    cells = {}
    for executor in ("sequential", "process_pool"):
        for size in sizes:
            command = [sys.executable, "-m", "benchmarks.allocations", str(size), executor]
            done = subprocess.run([*command, str(settings.workers)], cwd=ROOT, stdout=subprocess.PIPE, check=True)
            for step, found in zip(STEPS, json.loads(done.stdout), strict=True):
                name = step if step in STEPS[:2] else f"{step}: {executor}"
                cells.setdefault(name, {})[f"{size:,} nodes"] = [found]
    rows = [{"name": name, "cells": found, "note": ""} for name, found in cells.items()]
    columns = [f"{size:,} nodes" for size in sizes]
    return figures("memory of the runner's process, a node", rows, columns=columns, unit="bytes")
