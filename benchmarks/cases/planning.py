"""Microseconds a node for building nodes, a pipeline and its plan, as a layered random graph grows.

What matters: the figures do not grow with the size.
"""

from __future__ import annotations

import gc
import random
from itertools import pairwise
from time import perf_counter

from benchmarks.contenders.runners import make_nodes
from benchmarks.figures import figures
from benchmarks.graphs import LAYER, layered
from kernel import pipeline

STEPS = ("nodes", "pipeline", "plan", "slice", "sum of 100")


def pipeline_and_plan(graph, repetitions):
    """Return the seconds of each time that a pipeline was made of the same nodes, and planned."""
    nodes = make_nodes(graph)
    seconds = []
    for _ in range(repetitions):
        gc.collect()
        begun = perf_counter()
        _ = pipeline(nodes).plan
        seconds.append(perf_counter() - begun)
    return seconds


def one_round(graph):
    """Return microseconds a node for each step."""
    size = len(graph.steps)
    gc.collect()
    times = [perf_counter()]
    nodes = make_nodes(graph)
    times.append(perf_counter())
    flow = pipeline(nodes)
    times.append(perf_counter())
    _ = flow.plan
    times.append(perf_counter())
    _ = flow.from_nodes(*[f"node_{at}" for at in range(0, LAYER, 2)]).plan
    times.append(perf_counter())
    step = max(size // 100, 1)
    parts = [pipeline(nodes[start : start + step]) for start in range(0, size, step)]
    random.Random(1).shuffle(parts)
    times.append(perf_counter())
    _ = sum(parts).plan
    times.append(perf_counter())
    spent = [(end - start) / size * 1e6 for start, end in pairwise(times)]
    return [*spent[:4], spent[5]]


def measure(settings):
    sizes = (300, 1_000) if settings.quick else (1_000, 10_000, 100_000)
    columns = [f"{size:,} nodes" for size in sizes]
    cells = {step: {} for step in STEPS}
    for size, column in zip(sizes, columns, strict=True):
        graph = layered(size)
        rounds = [one_round(graph) for _ in range(2 if settings.quick else 5)]
        for step, values in zip(STEPS, zip(*rounds, strict=True), strict=True):
            cells[step][column] = list(values)
    rows = [{"name": step, "cells": found, "note": ""} for step, found in cells.items()]
    return figures("building and planning a layered graph, a node", rows, columns=columns, unit="us")
