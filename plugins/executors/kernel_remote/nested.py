"""Processes that a node makes with `multiprocessing`: they get what stands for the main module, and run no script.

A spawned process looks for its parent's main module by the name in its specification, or by its file, which it would
run. The name that a stand-in has brings the definitions along instead.
"""

from __future__ import annotations

import sys
from typing import Any, SupportsIndex

__all__ = ["Resumed", "resume"]


class Resumed(str):
    """The name of a main module that is not to be run: who unpickles it has that module, and gets the name."""

    __slots__ = ()

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        from kernel_remote.definitions import ship_again  # noqa: PLC0415 - few nodes start processes

        return resume, (ship_again(),)


def resume(shipment: Any) -> str:
    """Take up the definitions of the process that started this one."""
    from kernel_remote.stand_in import take_up  # noqa: PLC0415 - it imports this

    take_up(shipment)
    sys.modules["__mp_main__"] = sys.modules["__main__"]
    return "__main__"
