"""A large array with many readers, whose sums are joined: what moving a large value costs."""

from __future__ import annotations

from benchmarks import contest
from benchmarks.figures import Target, figures
from benchmarks.graphs import Step, fan

READERS = 8


def measure(settings):
    from benchmarks import arrays, functions

    megabytes = 4 if settings.quick else 256
    items = megabytes * 2**20 // 8
    source, reader = Step(arrays.make_array, constants=(megabytes,)), Step(arrays.total, (0,))
    graph = fan(source, reader, READERS, functions.join, READERS * (items - 1) * items / 2)
    rows = contest.measure(contest.Contest(graph, 2 if settings.quick else 5, left_out=contest.ALIKE), settings)
    reference = ("one process", "warm")
    targets = [Target(("process_pool", "warm"), reference, 1.4)]
    title = f"{megabytes} MB array, {READERS} readers, one join"
    return figures(title, rows, reference=reference, targets=targets)
