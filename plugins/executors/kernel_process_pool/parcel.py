"""A program on its way to a worker of this machine, with what the worker has to set up before it reads it."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kernel_process_pool.orphans import MARK
from kernel_process_pool.threads import cap
from kernel_remote.caller import Caller, arrive, packed_caller, unpacked_caller

if TYPE_CHECKING:
    from kernel_remote.shipment import Shipment

__all__ = ["parcel"]


def parcel(shipment: Shipment, variables: Mapping[str, str]) -> bytes:
    """Wrap a pickled program and its main module with what is to be seen of this process and of the caller's context.

    It unpickles to that, as `Caller`, and the program. The worker first searches modules where this process does, now,
    in its folder and its environment, and caps the threads of its libraries by `variables`, but for those set here.
    """
    capped = {name: value for name, value in variables.items() if name not in os.environ}
    return pickle.dumps(_Parcel(shipment, packed_caller(), capped), 5)


class _Parcel:
    def __init__(self, *contents: Any) -> None:
        self._contents = contents

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpack, self._contents


def _unpack(shipment: Shipment, packed: bytes, variables: dict[str, str]) -> tuple[Caller, Any]:
    caller = unpacked_caller(packed)
    arrive(caller, (MARK, *variables))
    cap(variables)
    if shipment.definitions is None and "kernel_remote.stand_in" not in sys.modules:
        return caller, pickle.loads(shipment.program)  # there is no main module to speak of, and there was none before
    from kernel_remote.stand_in import take_up  # noqa: PLC0415 - most projects are modules

    return caller, take_up(shipment)
