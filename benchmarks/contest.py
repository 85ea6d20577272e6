"""Runs one graph with every contender in turn, several times over, so that noise meets all of them alike."""

from __future__ import annotations

import sys
from contextlib import ExitStack, closing
from typing import Any

from attrs import field, frozen

from benchmarks.contender_process import ContenderError, ContenderProcess, alone_is_possible
from benchmarks.contenders import COLD, CONTENDERS, WARM

#: The column of the CPU time that the driving process takes.
CPU = "driver CPU"
#: Who differs from another only where nodes are many and tiny.
ALIKE = {"loop with callbacks": ""}
#: Runs of a contender by the seconds that its first, uncounted one took: at most so many.
FEWER = ((30.0, 1), (10.0, 2))


@frozen
class Settings:
    """What was asked for: `only` are parts of contenders' names, `workers` how many each contender may use."""

    quick: bool = False
    workers: int = 2
    only: tuple[str, ...] = ()


@frozen
class Contest:
    """A `Graph` and who runs it: `left_out` says why a contender is not asked, `modes` whether warm, cold or both.

    Keys of `left_out` are names, or names with a mode: "Ray" or "Ray, cold". Those without a reason have no row.
    """

    graph: Any
    repetitions: int
    left_out: dict[str, str] = field(factory=dict)
    modes: tuple[str, ...] = (WARM, COLD)
    contenders: tuple[Any, ...] = CONTENDERS
    #: Whether the CPU time of the process that drives each contender is a column of its own.
    cpu: bool = False


def invited(contest, settings):
    """Return the contenders and modes that take part, and why others do not, by name."""
    taking_part, absent = [], {}
    for contender in contest.contenders:
        if settings.only and not any(part in contender.name for part in settings.only):
            continue
        wanted = contender.quick if settings.quick and not settings.only else contender.modes
        if not wanted:
            continue
        if contender.missing:
            absent[contender.name] = f"not installed: {', '.join(contender.missing)}"
        elif contender.alone and not alone_is_possible():
            absent[contender.name] = "no network of its own can be had here"
        elif contender.name in contest.left_out:
            reason = contest.left_out[contender.name]
            absent |= {contender.name: reason} if reason else {}
        else:
            taking_part += [
                (contender, mode)
                for mode in wanted
                if mode in contest.modes and f"{contender.name}, {mode}" not in contest.left_out
            ]
    return taking_part, absent


def measure(contest, settings):
    """Return a row for each contender: `{"name": ..., "cells": {mode: [seconds]}, "note": ...}`."""
    taking_part, absent = invited(contest, settings)
    rows = {contender.name: {"name": contender.name, "cells": {}, "note": ""} for contender, _ in taking_part}
    with ExitStack() as opened:
        ready = _all_ready(contest, settings, taking_part, rows, opened)
        for turn in range(contest.repetitions):
            for process, repetitions in list(ready.items()):
                if turn < repetitions:
                    _run(process, rows, ready, cpu=contest.cpu)
    for row in rows.values():
        fewer = {mode: len(found) for mode, found in row["cells"].items() if len(found) < contest.repetitions}
        counts = [f"{mode}: {count} run{'s' * (count > 1)}" for mode, count in fewer.items()]
        row["note"] = "; ".join([*counts, *([row["note"]] if row["note"] else [])])
    for name, reason in absent.items():
        rows[name] = {"name": name, "cells": {}, "note": reason}
    order = [contender.name for contender in contest.contenders]
    return sorted(rows.values(), key=lambda row: order.index(row["name"]))


def _all_ready(contest, settings, taking_part, rows, opened):
    """Start everyone, let each run once, and return how often each is to run by its process."""
    processes = []
    for contender, mode in taking_part:
        processes.append(opened.enter_context(closing(ContenderProcess(contender, mode))))
        if not contender.heavy:
            processes[-1].start(contest.graph, settings.workers)
    ready = {}
    for process in processes:
        if process.contender.heavy:  # one at a time: some give up when they cannot start soon
            process.start(contest.graph, settings.workers)
        try:
            process.ready()
            with process.awake():
                seconds = process.run()[0]
        except ContenderError as error:
            _give_up(process, error, rows)
            continue
        at_most = [count for limit, count in FEWER if seconds > limit]
        ready[process] = min([contest.repetitions, *at_most])
    return ready


def _run(process, rows, ready, *, cpu):
    try:
        with process.awake():
            seconds, _, spent = process.run()
    except ContenderError as error:
        del ready[process]
        _give_up(process, error, rows)
        return
    cells = rows[process.contender.name]["cells"]
    cells.setdefault(process.mode, []).append(seconds)
    if cpu:
        cells.setdefault(CPU, []).append(spent)


def _give_up(process, error, rows):
    row = rows[process.contender.name]
    row["note"] = f"{process.mode}: {error}"
    row["cells"].pop(process.mode, None)
    print(f"{process.contender.name}, {process.mode}: {error}", file=sys.stderr)
    process.close()
