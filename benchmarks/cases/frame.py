"""A large frame of numbers and Arrow texts through five transforms: what a pipeline of frames costs."""

from __future__ import annotations

from benchmarks import contest
from benchmarks.figures import Target, figures
from benchmarks.graphs import Graph, Step


def measure(settings):
    from benchmarks import frames

    megabytes = 4 if settings.quick else 200
    functions = (*frames.TRANSFORMS, frames.summarise)
    value = frames.make_frame(megabytes)
    for function in functions:
        value = function(value)
    first = Step(frames.make_frame, constants=(megabytes,))
    graph = Graph((first, *(Step(function, (at,)) for at, function in enumerate(functions))), value, large=True)
    rows = contest.measure(
        contest.Contest(graph, 2 if settings.quick else 5, left_out=contest.ALIKE, modes=("warm",)), settings
    )
    reference = ("one process", "warm")
    targets = [Target(("process_pool", "warm"), reference, 1.15)]
    title = f"{megabytes} MB frame, made and put through {len(frames.TRANSFORMS)} transforms"
    return figures(title, rows, columns=("warm",), reference=reference, targets=targets)
