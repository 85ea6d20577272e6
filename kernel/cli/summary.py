"""The end of a run that is told: counts, times, and what came out and where it is."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from itertools import islice
from numbers import Number
from typing import TYPE_CHECKING, Any, cast

from kernel.cli.lines import cut, escaped, one_line, width
from kernel.cli.output import say
from kernel.datasets.credentials import hide
from kernel.values.describing import described

if TYPE_CHECKING:
    from kernel.cli.progress import Progress
    from kernel.result import Result

__all__ = ["summarise", "tell_outputs"]

#: How many outputs are shown one by one.
_MOST_OUTPUTS = 20
#: A collection with more entries than this is shown by its size; a text longer than this, too.
_MOST_ENTRIES = 20
_MOST_CHARACTERS = 200
#: From this many seconds on, hundredths are of no interest.
_LONG_S = 10


def summarise(progress: Progress, wall_s: float, workers: int) -> None:
    """Print the line with counts and times; what neither ended well nor failed was skipped."""
    total, ok, failed = len(progress.names), len(progress.ok), len(progress.failed)
    counts = f"{total} node{'s' * (total != 1)}  {ok} ok  {failed} failed  {max(0, total - ok - failed)} skipped"
    times = f"{_seconds(wall_s)} wall, {_seconds(progress.work_s)} work"
    if workers > 1:
        times += f", {progress.work_s / wall_s:.1f}x"
    if workers:
        times += f" on {workers} worker{'s' * (workers != 1)}"
    say(f" {counts}   {times}")


def _seconds(count: float) -> str:
    return f"{count:.1f}s" if count >= _LONG_S else f"{count:.2f}s"


def tell_outputs(result: Result, secrets: Sequence[str]) -> None:
    """Print each free output: where it is, or what it is when it lives in memory; small plain values in full.

    Those of `secrets` that a node passed on are hidden.
    """
    most = width()
    for name in islice(result, _MOST_OUTPUTS):
        place = result.location(name)
        texts = [f" -> {_short_path(place)}"] if place is not None else _shown(result, name)
        for at, text in enumerate(texts):
            head = "" if at else escaped(name)
            say(f" {cut(f'{head}{escaped(hide(text, secrets))}', most - 1)}")
    if len(result) > _MOST_OUTPUTS:
        say(f" and {len(result) - _MOST_OUTPUTS} more outputs")


def _short_path(place: str) -> str:
    """Write a place below the current folder as the user would."""
    return place.replace(f"{os.getcwd()}{os.sep}", "")  # noqa: PTH109 - text in, text out


def _shown(result: Result, name: str) -> list[str]:
    """Show a value in memory: on a line, or a table of plain values (a mapping of mappings) on a line a row."""
    try:
        value: Any = result[name]
        if not _is_plain(value):
            return [f" in memory: {described(value)}"]
        table: Mapping[Any, Any] = cast("Any", value) if isinstance(value, Mapping) else {}
        if table and all(isinstance(row, dict) for row in table.values()):
            return [" =", *(f"   {key}: {one_line(_text(row), width())}" for key, row in table.items())]
        return [f" = {one_line(_text(value), width())}"]
    except Exception as error:  # a value's own class may raise anything, and the run itself ended well
        return [f" in memory; cannot be shown ({type(error).__name__})"]


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Say whether a value is small and made of numbers, short texts and collections of them."""
    if value is None or isinstance(value, (bool, Number)):
        return True
    if isinstance(value, str):
        return len(value) <= _MOST_CHARACTERS
    if depth > 1 or not isinstance(value, (dict, list, tuple)):
        return False
    entries = cast("dict[Any, Any] | Sequence[Any]", value)
    inner = (each for pair in entries.items() for each in pair) if isinstance(entries, dict) else iter(entries)
    return len(entries) <= _MOST_ENTRIES and all(_is_plain(each, depth + 1) for each in inner)


def _text(value: Any) -> str:
    """Write a plain value; numbers of array libraries as plain numbers."""
    if isinstance(value, Mapping):
        pairs = cast("Mapping[str, Any]", value).items()
        return "{" + ", ".join(f"{_text(key)}: {_text(each)}" for key, each in pairs) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_text, cast('list[str]', value)))}]"
    if isinstance(value, float):
        return f"{float(value):.6g}" if math.isfinite(value) else str(float(value))
    return str(value) if isinstance(value, Number) else repr(value)
