"""What goes to an engine: a program and jobs as bytes, and what is remembered of a job until it has been answered."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

from kernel_remote.booth import pack_parcel
from kernel_remote.definitions import ship
from kernel_remote.engine import Away, Boot, Ref

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from kernel.specs.tasks import Program
    from kernel_remote.engine import Engine
    from kernel_remote.turns import Sent
    from kernel_remote.waiting import Stretch

__all__ = ["Sending", "boot", "brought", "pack"]


class Sending:
    """A job that is under way: its turns, and what of its chain waits for it."""

    def __init__(self, stretches: Sequence[Stretch], rest: Stretch | None) -> None:
        self.turns: list[Sent] = [turn for stretch in stretches for turn in stretch.turns]
        self.rest = rest

    @property
    def is_suspect(self) -> bool:
        """Whether one of its turns was lost before."""
        return any(turn[3] > 1 for turn in self.turns)

    def nodes(self) -> list[int]:
        """List its nodes, those that wait for it included."""
        rest = self.rest.turns if self.rest is not None else ()
        return [turn[0] for turn in (*self.turns, *rest)]


def boot(key: str, program: Program, hidden: Sequence[ModuleType], engine: Engine) -> Boot:
    """Pickle a program with what `hidden` modules and the main one define, for workers of an engine."""
    shipment = ship(program.for_travel(), hidden, far=True)
    return Boot(key, pack_parcel(shipment, alone=engine.alone, own=engine.own))


def pack(stretches: Sequence[Stretch]) -> tuple[bytes, Sequence[Any]]:
    """Return turns as `run_job` takes them, and the engine's references to what they read, each once."""
    held: list[Any] = []
    places: dict[int, int] = {}

    def away(handle: Any) -> Any:
        if type(handle) is not Ref:
            return handle
        place = places.setdefault(id(handle.held), len(held))
        if place == len(held):
            held.append(handle.held)
        return Away(place, handle.at)

    packed = [
        (
            [(turn[0], tuple(map(away, turn[1])), *turn[2:]) for turn in stretch.turns],
            {name: away(handle) for name, handle in stretch.made.items()},
        )
        for stretch in stretches
    ]
    return pickle.dumps(packed, 5), held


def brought(handle: Any, held: Any, owner: str) -> Any:
    """Return a handle of an answer as the runner keeps it; `owner` is the session of the executor that was answered."""
    return Ref(held, handle.at, owner) if type(handle) is Away else handle
