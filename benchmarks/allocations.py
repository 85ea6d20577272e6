"""What the runner's process allocates for a graph: `python -m benchmarks.allocations SIZE EXECUTOR WORKERS`.

Prints bytes a node as JSON: of the nodes; of pipeline and plan; the most during a run beside those; and what the
result, with its report, keeps of that.
"""

from __future__ import annotations

import gc
import json
import sys
import tracemalloc

from benchmarks.contenders.runners import declare, make_nodes
from benchmarks.graphs import layered
from kernel import Runner, pipeline


def bytes_a_node(size, executor, workers):
    """Return what each step takes; a first small run loads all modules."""
    graph, datasets = layered(size), declare(min(size, 1_000))
    with Runner(executor, workers=workers) as runner:
        runner.run(pipeline(make_nodes(layered(10)))).close()
        gc.collect()
        tracemalloc.start()
        taken = [_taken()]
        nodes = make_nodes(graph)
        taken.append(_taken())
        flow = pipeline(nodes)
        _ = flow.plan
        taken.append(_taken())
        tracemalloc.reset_peak()
        result = runner.run(flow, datasets)
        most, kept = tracemalloc.get_traced_memory()[1], _taken()
        result.close()
    base = taken[2]
    return [found / size for found in (taken[1] - taken[0], base - taken[1], most - base, kept - base)]


def _taken():
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


if __name__ == "__main__":
    print(json.dumps(bytes_a_node(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
