"""A layered random graph of nodes that do nothing but read two others: what the bookkeeping costs as it grows."""

from __future__ import annotations

from benchmarks import contest
from benchmarks.cases.independent import KEDRO
from benchmarks.figures import figures
from benchmarks.graphs import layered

#: Entries of the catalog: as many as a large project has.
DECLARED = 1_000
#: Nodes from which on some contenders are not waited for, and above which most are not.
LARGE = 10_000


def measure(count, settings):
    size = count // 100 if settings.quick else count
    too_long = "left out: too long to wait for"
    left_out = {"Kedro": KEDRO}
    if count >= LARGE:
        left_out |= {"loop": too_long}
    if count > LARGE:
        left_out |= dict.fromkeys(["Dask", "Ray", "loky", "loop with callbacks", "joblib"], too_long)
    graph = layered(size, declared=min(DECLARED, size))
    asked = contest.Contest(graph, 3 if settings.quick else 5, left_out=left_out, modes=("warm",))
    rows = contest.measure(asked, settings)
    title = f"{size:,} no-op nodes in layers, two parents each; {graph.declared:,} declared datasets in catalogs"
    return figures(title, rows, columns=("warm",), nodes=size, reference=("one process", "warm"))
