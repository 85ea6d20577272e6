"""The measurements as Markdown: a table for each case, then what came of the targets.

python -m benchmarks.table FILE.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median


def markdown(cases):
    parts = [case_table(case) for case in cases.values()]
    if any(case["targets"] for case in cases.values()):
        parts.append(target_table(cases.values()))
    return "\n\n".join(parts)


def case_table(case):
    """Lay out medians: rows down, columns across; in brackets how many times the reference's."""
    extra = ["a node"] if case["nodes"] else []
    notes = any(row["note"] for row in case["rows"])
    heads = ["", *case["columns"], *extra, *(["notes"] if notes else [])]
    lines = [
        f"**{case['title']}**{_about(case)}",
        "",
        f"| {' | '.join(heads)} |",
        f"| --- |{' ---: |' * (len(case['columns']) + len(extra))}{' --- |' * notes}",
    ]
    base = _base(case)
    for row in case["rows"]:
        unit = row.get("unit", case["unit"])
        cells = [_cell(row["cells"].get(column), unit, base) for column in case["columns"]]
        if extra:
            found = row["cells"].get(case["columns"][0])
            cells.append(quantity(median(found) / case["nodes"], unit) if found else "")
        cells += [row["note"]] if notes else []
        lines.append(f"| {' | '.join([row['name'], *cells])} |")
    return "\n".join(lines).replace("|  |", "| |").replace("|  |", "| |")


def _about(case):
    most = _most(case)
    said = [f"median of {most}"] if most > 1 else []
    if case["reference"]:
        said.append(f"in brackets: times {', '.join(case['reference'])}")
    return f" ({'; '.join(said)})" if said else ""


def _most(case):
    return max((len(found) for row in case["rows"] for found in row["cells"].values()), default=0)


def _base(case):
    if not case["reference"]:
        return None
    name, column = case["reference"]
    found = next((row["cells"].get(column) for row in case["rows"] if row["name"] == name), None)
    return median(found) if found else None


def _cell(found, unit, base):
    if not found:
        return ""
    middle = median(found)
    if not base:
        return quantity(middle, unit)
    ratio = middle / base
    return f"{quantity(middle, unit)} ({ratio:.2f}x)" if ratio >= 0.1 else f"{quantity(middle, unit)} ({ratio:.2g}x)"


def quantity(value, unit):
    """Say a measured value in words: seconds in the unit that suits them, all else with three digits or so."""
    if unit == "s":
        for factor, name in ((1, "s"), (1e3, "ms")):
            if value * factor >= 1:
                return f"{value * factor:.3g} {name}" if value * factor < 100 else f"{value * factor:.0f} {name}"
        return f"{value * 1e6:.3g} us"
    digits = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return f"{digits} {unit}"


def target_table(cases):
    lines = ["**Targets**", "", "| case | target | measured | |", "| --- | --- | ---: | --- |"]
    for case in cases:
        for found in case["targets"]:
            wanted = f"{found['subject']} at most {found['at_most']:.3g} times {found['other']}"
            met = "met" if found["met"] else "**missed**"
            lines.append(f"| {case['title']} | {wanted} | {found['ratio']:.3g} | {met} |")
    return "\n".join(lines)


if __name__ == "__main__":
    print(markdown(json.loads(Path(sys.argv[1]).read_text())["cases"]))
