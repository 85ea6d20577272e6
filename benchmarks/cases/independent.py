"""Many nodes that do nothing and need nothing: what a node costs."""

from __future__ import annotations

from benchmarks import contest
from benchmarks.cases import planning
from benchmarks.figures import Target, figures, row
from benchmarks.graphs import independent

KEDRO = "left out: its time grows with the square of the nodes, and 200 take about a minute"
#: What is not waited for where there are many nodes: engines that take seconds to start, each time.
TOO_SLOW = {"Dask, cold": "", "Ray, cold": "", "Kedro": KEDRO}
POOL = ("process_pool", "warm")


def measure(count, settings):
    many = count > 1_000
    size = count // 10 if settings.quick else count
    left_out = TOO_SLOW if many else {"Kedro": KEDRO}
    asked = contest.Contest(independent(size), 3 if settings.quick else 5 if many else 9, left_out=left_out)
    rows = contest.measure(asked, settings)
    planned = planning.pipeline_and_plan(independent(size), 5)
    rows.append(row("planning (process_pool, once for a pipeline)", warm=planned))
    if many:
        targets = [Target(POOL, ("joblib", "warm"), 0.8), Target(POOL, ("loop", "warm"), 1 / 30)]
    else:
        targets = [Target(POOL, ("joblib", "warm"), 1 / 3)]
    title = f"{size:,} independent no-op nodes"
    return figures(title, rows, nodes=size, reference=("joblib", "warm"), targets=targets)
