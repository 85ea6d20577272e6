"""What `docs/values.md` says of each kind of value, made of what is measured."""

from __future__ import annotations

import re
from pathlib import Path

from kernel.values.pickling import PLAIN, dump
from kernel.values.state import has_state
from value_kinds import GROUPS, REFUSED

PAGE = Path(__file__).parents[1] / "docs" / "values.md"
BEGIN, END = "<!-- made by tests/test_values_page.py: begin -->", "<!-- made by tests/test_values_page.py: end -->"
#: Values of up to this many bytes go inside of messages (`kernel_shared_memory.store`).
IN_MESSAGES = 64 * 1024


def way_of(kind):
    """Say how a value of a kind travels, of what it is written as."""
    value = kind.make()
    if type(value) in PLAIN:
        return "as it is, in the message"
    dumped = dump("", value)
    outside = sum(buffer.nbytes for buffer in dumped.buffers)
    if kind.whole is not None:
        return _way_of_part(len(dumped), len(dump("", kind.whole())))
    if len(dumped) <= IN_MESSAGES:
        return "in the message"
    return "mapped" if outside > 0.9 * len(dumped) else "partly mapped" if outside > 0.1 * len(dumped) else "copied"


def _way_of_part(size, whole):
    if size < 0.1 * whole:
        return "packed: what it shows"
    return "whole, once" if size < 1.1 * whole else "whole, many times"


def row_of(kind, measured):
    """Return the line of the table; `measured` is what readers said of the value (`value_nodes.differences`)."""
    is_own = "the same, its own" if kind.change is not None else "the same; it cannot be changed"
    said = [is_own if measured["equal"] else "**not the same**", kind.remark]
    if has_state(kind.make()):
        said.append("several readers are [warned about](#what-changes-when-it-is-read)")
    said.append(_since(kind))
    gets = "; ".join(filter(None, said))
    return f"| {kind.name} | {way_of(kind)} | {gets} | {', '.join(measured['lost'])} |"


def refused_row(kind):
    said = [f"`{kind.refused.removesuffix(': ')}`", _since(kind)]
    return f"| {kind.name} | {'; '.join(filter(None, said))} |"


def _since(kind):
    return kind.needs and f"from {kind.needs.replace('>=', ' ')} on"


def tables(measured):
    """Return the text of all tables; `measured` by group and name."""
    parts = []
    for group, kinds in GROUPS.items():
        rows = [row_of(kind, measured[f"{group}: {kind.name}"]) for kind in kinds]
        parts += [
            f"### {group}",
            "",
            "| value | travels | a reader gets | lost |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
        ]
    rows = [refused_row(kind) for kind in REFUSED.values()]
    parts += ["### Refused", "", "| value | the reason that is told |", "| --- | --- |", *rows]
    return "\n".join(parts)


def rows_of_page():
    """Return the lines of the page's tables, by heading and name."""
    found, group = {}, ""
    for line in made_part().splitlines():
        if line.startswith("### "):
            group = line.removeprefix("### ")
        elif line.startswith("| ") and not line.startswith(("| value |", "| --- ")):
            found[f"{group}: {line.split(' | ')[0].removeprefix('| ')}"] = line
    return found


def made_part():
    return PAGE.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0].strip()


def write(text):
    page = PAGE.read_text(encoding="utf-8")
    pattern = re.compile(re.escape(BEGIN) + ".*" + re.escape(END), re.DOTALL)
    PAGE.write_text(pattern.sub(lambda _: f"{BEGIN}\n\n{text}\n\n{END}", page), encoding="utf-8")
