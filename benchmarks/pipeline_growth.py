"""Microseconds a node for building nodes, a pipeline and its plan, as a layered random DAG grows.

Each node reads two datasets of the layer before its own. What matters: the figures do not grow with the size.

    python benchmarks/pipeline_growth.py [--sizes 1000,10000,100000] [--repeats 3]
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from itertools import pairwise

from kernel.nodes import Node
from kernel.pipelines import Pipeline

LAYER = 100
STEPS = ("nodes", "pipeline", "plan", "slice", "sum of 100")


def merge(left, right):
    return left, right


def layered(size):
    """Return inputs for each node: the datasets of two random nodes of the layer before, or free inputs."""
    chance = random.Random(size)
    inputs = []
    for at in range(size):
        layer = at // LAYER
        if layer == 0:
            inputs.append([f"in_{at}", "params:seed"])
        else:
            start = (layer - 1) * LAYER
            inputs.append([f"data_{start + chance.randrange(LAYER)}", f"data_{start + chance.randrange(LAYER)}"])
    return inputs


def measure(size):
    """Return microseconds a node for each step."""
    inputs = layered(size)
    times = [time.perf_counter()]
    nodes = [Node(merge, names, f"data_{at}", name=f"node_{at}") for at, names in enumerate(inputs)]
    times.append(time.perf_counter())
    pipeline = Pipeline(nodes)
    times.append(time.perf_counter())
    _ = pipeline.plan
    times.append(time.perf_counter())
    _ = pipeline.from_nodes(*[f"node_{at}" for at in range(0, LAYER, 2)]).plan
    times.append(time.perf_counter())
    step = max(size // 100, 1)
    parts = [Pipeline(nodes[start : start + step]) for start in range(0, size, step)]
    random.Random(1).shuffle(parts)
    times.append(time.perf_counter())
    _ = sum(parts).plan
    times.append(time.perf_counter())
    spent = [(end - start) / size * 1e6 for start, end in pairwise(times)]
    return [*spent[:4], spent[5]]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="1000,10000,100000")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    print(f"{'us a node':>10}", *(f"{step:>11}" for step in STEPS))
    for size in map(int, options.sizes.split(",")):
        rows = [measure(size) for _ in range(options.repeats)]
        middle = [statistics.median(column) for column in zip(*rows, strict=True)]
        print(f"{size:>10,}", *(f"{value:>11.2f}" for value in middle))


if __name__ == "__main__":
    main()
