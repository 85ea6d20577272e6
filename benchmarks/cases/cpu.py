"""Nodes that compute in Python, independent of each other: how near to the ideal the workers are kept busy."""

from __future__ import annotations

from benchmarks import contest
from benchmarks.calibration import rounds_for
from benchmarks.figures import figures, row
from benchmarks.functions import spin
from benchmarks.graphs import Graph, Step


def measure(settings):
    count, seconds = (4, 0.05) if settings.quick else (16, 0.5)
    rounds = rounds_for(seconds, spin)
    graph = Graph((Step(spin, constants=(rounds,)),) * count, count * spin(rounds))
    rows = contest.measure(
        contest.Contest(graph, 2 if settings.quick else 5, left_out=contest.ALIKE, modes=("warm",)), settings
    )
    ideal = -(-count // settings.workers) * seconds
    rows.insert(0, row("ideal", note="as many seconds of CPU, evenly spread", warm=[ideal]))
    title = f"{count} nodes of {seconds} s CPU on {settings.workers} workers"
    return figures(title, rows, columns=("warm",), reference=("ideal", "warm"))
