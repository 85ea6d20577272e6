"""What a large array with many readers takes in memory, in all processes together.

Contenders are measured one after another, each after a first run that is not counted. "idle" is what their processes
take just before a run, "peak" the most at any time: mostly while the value exists both as its
maker has it and as it travels. "once saved" is the middle of what is seen while readers hold it. Both count a page once
that several processes map. Shared memory that no process maps (files in `/dev/shm`) is in the last column only, which
is the most that the machine had more than before the contender was started.
"""

from __future__ import annotations

from contextlib import closing
from statistics import median

from benchmarks.contender_process import ContenderError, ContenderProcess
from benchmarks.contenders import WARM
from benchmarks.contest import ALIKE, Contest, invited
from benchmarks.figures import figures, row
from benchmarks.graphs import Step, fan
from benchmarks.sampler import Sampler, shared_bytes

READERS = 8
MB = 2**20


def measure(settings):
    from benchmarks import arrays

    megabytes, seconds = (4, 0.02) if settings.quick else (256, 0.3)
    source, reader = Step(arrays.make_array, constants=(megabytes,)), Step(arrays.hold, (0,), (seconds,))
    graph = fan(source, reader, READERS, arrays.whole_span, None)
    contest = Contest(graph, 1 if settings.quick else 3, left_out=ALIKE, modes=(WARM,))
    taking_part, absent = invited(contest, settings)
    rows = []
    for contender, mode in taking_part:
        with closing(ContenderProcess(contender, mode)) as process:
            try:
                rows.append(row(contender.name, **_memory(process, contest, settings.workers)))
            except ContenderError as error:
                rows.append(row(contender.name, note=str(error)))
    rows += [row(name, note=reason) for name, reason in absent.items()]
    title = f"memory of all processes: {megabytes} MB array, {READERS} readers"
    return figures(title, rows, columns=("idle", "peak", "once saved", "shared memory"), unit="MB")


def _memory(process, contest, workers):
    """Return megabytes by column for each run after the first."""
    before = shared_bytes() / MB
    process.start(contest.graph, workers)
    process.ready()
    process.run()
    columns = {"idle": [], "peak": [], "once saved": [], "shared memory": []}
    for _ in range(contest.repetitions):
        with Sampler(process.pid) as sampler:
            ((begun, ended),) = process.run()[1]
        used = [sample.used / MB for sample in sampler.samples]
        shared = [sample.shared / MB for sample in sampler.samples]
        held = [sample.used / MB for sample in sampler.samples if begun <= sample.time <= ended]
        columns["idle"].append(used[0])
        columns["peak"].append(max(used))
        columns["once saved"].append(median(held))
        columns["shared memory"].append(max(shared) - before)
    return columns
