"""A value on its way from one turn to the next in the same worker: handed on as it is, neither saved nor copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from kernel.values.ownership import sole_owner
from kernel.values.pickling import PLAIN

if TYPE_CHECKING:
    from kernel.nodes.calling import DeclaredNames
    from kernel.specs.catalog import Handle, Store

__all__ = ["Held", "forget_held", "hold", "taken_over"]


class Held:
    """A value that a turn left in its worker for the next one of its chain; nobody else holds it."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


def hold(declared: DeclaredNames, outputs: Sequence[Any]) -> Held | None:
    """Keep a turn's only output for the next turn of its chain, unsaved, if that shows nowhere; else return None."""
    if type(declared) is not str or type(outputs[0]) in PLAIN:
        return None
    data = outputs[0]
    return Held(data) if sole_owner(data, 2) else None  # this name and the sequence of outputs


def taken_over(store: Store, declared: DeclaredNames, outputs: Sequence[Any]) -> Handle | None:
    """Have the store keep a turn's only output without a copy, if it can and nobody else has it; else return None."""
    take_over: Callable[[str, Any], Handle] | None = getattr(store, "take_over", None)
    if take_over is None or type(declared) is not str:
        return None
    held = hold(declared, outputs)
    return None if held is None else take_over(declared, held.value)


def forget_held(names: Sequence[str], made: dict[str, Any]) -> None:
    """Leave what was held for a turn to that turn alone."""
    for name in names:
        if type(made.get(name)) is Held:
            del made[name]
