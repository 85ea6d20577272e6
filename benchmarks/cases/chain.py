"""A chain of nodes, each of which adds one: what a step from node to node costs."""

from __future__ import annotations

from benchmarks import contest
from benchmarks.cases.independent import TOO_SLOW
from benchmarks.figures import Target, figures
from benchmarks.graphs import chain

POOL = ("process_pool", "warm")


def measure(settings):
    length = 50 if settings.quick else 500
    asked = contest.Contest(chain(length), 3 if settings.quick else 7, left_out=TOO_SLOW)
    rows = contest.measure(asked, settings)
    targets = [Target(POOL, ("loop", "warm"), 1 / 30), Target(POOL, ("sequential", "warm"), 5)]
    title = f"chain of {length} tiny values"
    return figures(title, rows, nodes=length, reference=("sequential", "warm"), targets=targets)
