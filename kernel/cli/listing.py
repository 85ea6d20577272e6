"""What `kernel plugins` does: a table of what is installed, or all that is known of one plugin."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from typing import TYPE_CHECKING

from kernel.cli.lines import escaped
from kernel.cli.output import say
from kernel.plugins import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel.plugins import PluginInfo

__all__ = ["show"]

_OK, _BROKEN, _USAGE = 0, 1, 2
_HEADINGS = ("KIND", "NAME", "DISTRIBUTION", "VERSION", "STATUS")


def show(name: str | None, *, check: bool) -> int:
    """Print what is asked for, importing every plugin; return the exit code, 1 for a broken one if `check` is asked."""
    found = describe(load=True)
    if name is not None:
        chosen = [each for each in found if each.name == name]
        if not chosen:
            return _unknown(name, found)
        for each in chosen:
            _explain(each)
        found = chosen
    else:
        _table(found)
    broken = [each for each in found if each.status.startswith("broken")]
    for each in broken:
        _say_broken(each)
    return _BROKEN if broken and check else _OK


def _unknown(name: str, found: Sequence[PluginInfo]) -> int:
    close = get_close_matches(name, [each.name for each in found], n=1)
    hint = f"; did you mean {close[0]!r}?" if close else "; `kernel plugins` lists what there is"
    print(f" ERROR  there is no plugin {name!r}{hint}", file=sys.stderr)
    return _USAGE


def _table(found: Sequence[PluginInfo]) -> None:
    rows: list[tuple[str, ...]] = [_HEADINGS]
    for each in found:
        status = each.status.partition(":")[0]
        rows.append(tuple(map(escaped, (each.kind, each.name, each.distribution, each.version, status))))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _explain(plugin: PluginInfo) -> None:
    say(f"{plugin.kind} {escaped(plugin.name)}")
    facts = {
        "about": plugin.doc,
        "from": f"{plugin.distribution} {plugin.version}".strip(),
        "entry point": plugin.value,
        "status": plugin.status.partition(":")[0],
        "options": ", ".join(plugin.options),
        "hooks": ", ".join(plugin.hooks),
    }
    for name, text in facts.items():
        if text:
            say(f"  {name:<12} {escaped(text)}")


def _say_broken(plugin: PluginInfo) -> None:
    say(f"{plugin.kind} {escaped(plugin.name)} is {escaped(plugin.status)}")
    if plugin.kind == "listener":
        say(f"  run without it: --no-plugin {escaped(plugin.name)}")
