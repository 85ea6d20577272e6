"""A large array with readers that compute for a while: whether what is gained outweighs what moving costs."""

from __future__ import annotations

from benchmarks import contest
from benchmarks.calibration import rounds_for
from benchmarks.figures import Target, figures
from benchmarks.graphs import Step, fan

READERS = 8


def measure(settings):
    from benchmarks import arrays, functions

    megabytes, seconds = (4, 0.01) if settings.quick else (256, 0.3)
    items, result = _calibrated(arrays, megabytes, seconds)
    source = Step(arrays.make_array, constants=(megabytes,))
    graph = fan(source, Step(arrays.churn, (0,), (items,)), READERS, functions.join, READERS * result)
    rows = contest.measure(
        contest.Contest(graph, 2 if settings.quick else 5, left_out=contest.ALIKE, modes=("warm",)), settings
    )
    reference = ("one process", "warm")
    targets = [Target(("process_pool", "warm"), reference, 1 / 1.7)]
    title = f"{megabytes} MB array, {READERS} readers of {seconds} s CPU each, one join"
    return figures(title, rows, columns=("warm",), reference=reference, targets=targets)


def _calibrated(arrays, megabytes, seconds):
    """Return how many items of the array make so many seconds of CPU, and what one reader gets."""
    array = arrays.make_array(megabytes)
    items = rounds_for(seconds, lambda count: arrays.churn(count, array), arrays.CHUNK)
    return items, arrays.churn(items, array)
