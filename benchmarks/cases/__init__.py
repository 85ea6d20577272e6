"""What is measured: each case in a file of its own, by the name that `--cases` takes."""

from __future__ import annotations

from functools import partial

from benchmarks.cases import (
    array,
    array_memory,
    array_work,
    chain,
    command,
    cpu,
    engines,
    frame,
    imports,
    independent,
    layered,
    limits,
    node_memory,
    planning,
    release,
    start,
)

CASES = {
    "limits": limits.measure,
    "imports": imports.measure,
    "command": command.measure,
    "start": start.measure,
    "planning": planning.measure,
    "node-memory": node_memory.measure,
    "independent-1000": partial(independent.measure, 1_000),
    "independent-10000": partial(independent.measure, 10_000),
    "chain": chain.measure,
    "layered-1000": partial(layered.measure, 1_000),
    "layered-10000": partial(layered.measure, 10_000),
    "layered-100000": partial(layered.measure, 100_000),
    "array": array.measure,
    "array-work": array_work.measure,
    "array-memory": array_memory.measure,
    "frame": frame.measure,
    "release": release.measure,
    "cpu": cpu.measure,
    **engines.CASES,
}
