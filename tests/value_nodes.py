"""Nodes that look at values of each kind, where they are: only plain words travel back from them."""

from __future__ import annotations

from kernel import node
from kernel.values import is_equal
from kernel.values.copying import copy_value
from value_kinds import KINDS

#: What a module holds, and its nodes hand out, by kind.
HELD = {}


def make(name):
    return KINDS[name].make()


def hand_out(name):
    return HELD.setdefault(name, KINDS[name].make())


def look(name, value):
    """Say in what the value differs from one that was just made, and leave it as it is."""
    return differences(name, value, KINDS[name].make())


def look_after(name, value, before):
    """Return what was seen before, by whom changed it then, and what is seen now."""
    return before, look(name, value)


def look_and_change(name, value):
    told = look(name, value)
    change(name, value)
    return told


def change_and_hand_on(name, value):
    change(name, value)
    return value


def look_at_changed(name, value):
    expected = copy_value(KINDS[name].make())
    change(name, expected)
    told = differences(name, value, expected)
    return {"equal": told["equal"], "type": told["type"]}


def look_at_held(name, before):
    return look_after(name, HELD.get(name, KINDS[name].make()), before)


def change(name, value):
    if KINDS[name].change is not None:
        KINDS[name].change(value)


def differences(name, value, expected):
    kind = KINDS[name]
    return {
        "type": type(value).__name__,
        "equal": is_equal(kind.view(value), kind.view(expected)),
        "lost": [words for words, part in kind.lost.items() if not is_equal(part(value), part(expected))],
    }


def nodes():
    """What is asked of each kind: two readers of what is made, and of what is given, the first of which changes it.

    Then a chain in which it is changed on its way, and one at whose start a module keeps what it hands out.
    """
    return [
        node(make, "kind", "made", name="make"),
        node(look_and_change, ["kind", "made"], "first", name="first"),
        node(look_after, ["kind", "made", "first"], "second", name="second"),
        node(look_and_change, ["kind", "given"], "given first", name="given_first"),
        node(look_after, ["kind", "given", "given first"], "given second", name="given_second"),
        node(make, "kind", "link", name="link"),
        node(change_and_hand_on, ["kind", "link"], "changed", name="change"),
        node(look_at_changed, ["kind", "changed"], "chained", name="chained"),
        node(hand_out, "kind", "held", name="hold"),
        node(look_and_change, ["kind", "held"], "held first", name="held_first"),
        node(look_at_held, ["kind", "held first"], "held second", name="held_second"),
        node(make, "kind", "result", name="result"),
    ]
