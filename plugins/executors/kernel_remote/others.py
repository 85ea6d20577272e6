"""What the main module defines and the program of a run does not need, as one pickle; what stops it is left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kernel.values.globals_of import place_of
from kernel_remote.plain import plain_of

if TYPE_CHECKING:
    from kernel_remote.small_pickler import SmallPickler

__all__ = ["Others", "dump_others"]

#: Things by name, the pickle of plain functions, values by name that these need, and what of that can be imported.
Others = tuple[Mapping[str, Any], bytes, Mapping[str, Any], Sequence[tuple[str, str, str]]]


def dump_others(pickler: SmallPickler, others: Mapping[str, Any], found: Mapping[str, Any]) -> dict[str, str]:
    """Pickle definitions by name, of the main module whose globals are `found`; return which are left out, and why."""
    plain = plain_of(others, found, pickler.source)
    known = others.keys() | pickler.defined.keys()
    needs, hints = _needs(plain.names - known, found)
    things = {name: thing for name, thing in others.items() if name not in plain.functions}
    try:
        pickler.dump_others((things, plain.data, pickler.chosen(needs), hints))
    except Exception:  # something of it cannot be pickled, or brings much data: each is asked whether it is that
        reasons = {name: pickler.twin().obstacle(thing) for name, thing in things.items()}
    else:
        return {}
    left_out = {name: reason for name, reason in reasons.items() if reason}
    pickler.without, pickler.without_objects = left_out.keys(), True
    rest = {name: thing for name, thing in things.items() if name not in left_out}
    try:
        pickler.dump_others((rest, plain.data, pickler.chosen(needs), hints))
    except Exception as error:  # what can be sent by itself cannot be sent with the rest
        left_out.update(dict.fromkeys(rest, f"{type(error).__name__}: {error}"))
        pickler.dump_others(({}, plain.data, {}, hints))
    return left_out


def _needs(names: Iterable[str], found: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """Return the values of globals that are needed, and of those that can be imported where that is, by name."""
    values: dict[str, Any] = {}
    hints: list[tuple[str, str, str]] = []
    for name in names:
        if name in found:
            place = place_of(found[name])
            if place is None:
                values[name] = found[name]
            else:
                hints.append((name, *place))
    return values, hints
