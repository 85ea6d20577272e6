"""Engines by themselves, and with this project's executors on them: what a node more costs."""

from __future__ import annotations

from functools import partial

from benchmarks import contest
from benchmarks.contenders import ENGINES
from benchmarks.figures import Target, figures
from benchmarks.graphs import chains, layered

#: Ours, and the engine as one uses it by hand.
PAIRS = (("futures on loky", "loky"), ("dask", "Dask, submit"), ("ray", "Ray"))
AT_MOST = 1.25


def _measure(graph, title, settings):
    asked = contest.Contest(graph, 3 if settings.quick else 5, modes=("warm",), contenders=ENGINES, cpu=True)
    rows = contest.measure(asked, settings)
    targets = [Target((ours, "warm"), (bare, "warm"), AT_MOST) for ours, bare in PAIRS]
    return figures(title, rows, columns=("warm", contest.CPU), nodes=len(graph.steps), targets=targets)


def in_layers(count, settings):
    size = count // 10 if settings.quick else count
    return _measure(layered(size), f"engines: {size:,} no-op nodes in layers, two parents each", settings)


def in_chains(settings):
    length = 15 if settings.quick else 75
    return _measure(chains(2, length), f"engines: two chains of {length} tiny values", settings)


CASES = {
    "engines-1000": partial(in_layers, 1_000),
    "engines-10000": partial(in_layers, 10_000),
    "engines-chains": in_chains,
}
