"""What a case has measured, as plain data: it is written as JSON, and from it the table is made."""

from __future__ import annotations

from statistics import median

from attrs import frozen

#: A row and a column of a case's table, such as `("joblib", "warm")`.
Cell = tuple[str, str]


@frozen
class Target:
    """A promise to hold: the median of `cell` is at most so many times that of `other`, or of `seconds`."""

    cell: Cell
    other: Cell
    at_most: float


def figures(title, rows, *, columns=("warm", "cold"), unit="s", nodes=None, reference=None, targets=()):
    """Return a case's figures: rows of samples by column, and what came of its targets.

    With `nodes` the table also says what one costs; `reference` is the cell with which all others are compared.
    """
    judged = [judge(target, rows) for target in targets]
    return {
        "title": title,
        "unit": unit,
        "columns": list(columns),
        "nodes": nodes,
        "reference": reference,
        "rows": rows,
        "targets": [verdict for verdict in judged if verdict],
    }


def row(name, unit=None, note="", **cells):
    found = {"name": name, "cells": cells, "note": note}
    return found if unit is None else {**found, "unit": unit}


def samples(rows, cell):
    return next((found["cells"].get(cell[1]) for found in rows if found["name"] == cell[0]), None)


def judge(target, rows):
    measured, other = samples(rows, target.cell), samples(rows, target.other)
    if not measured or not other:
        return None
    ratio = median(measured) / median(other)
    return {
        "subject": ", ".join(target.cell),
        "other": ", ".join(target.other),
        "at_most": target.at_most,
        "ratio": ratio,
        "met": ratio <= target.at_most,
    }
