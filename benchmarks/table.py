"""The measurements as one Markdown table."""

from __future__ import annotations

from statistics import median

#: What the others are compared with.
YARDSTICK = "loop, warm"


def markdown(graphs, contenders, imports):
    """Lay out medians: contenders down, graphs across; in brackets how many times as long as the warm loop's."""
    lines = [
        "| | " + " | ".join(graphs) + " |",
        "| --- |" + " ---: |" * len(graphs),
    ]
    for name in contenders:
        cells = []
        for seconds in graphs.values():
            middle, yardstick = median(seconds[name]), seconds.get(YARDSTICK)
            ratio = f" ({middle / median(yardstick):.2f}x)" if yardstick else ""
            cells.append(f"{duration(middle)}{ratio}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    for name, seconds in imports.items():
        cell = f"{duration(min(seconds))} to {duration(median(seconds))} of CPU (least, median)"
        lines.append(f"| `{name}` | {cell} |" + " |" * (len(graphs) - 1))
    return "\n".join(lines)


def duration(seconds):
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1e3:.1f} ms"
