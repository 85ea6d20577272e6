"""A program on its way to a worker of this machine, with what the worker has to set up before it reads it."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kernel_process_pool.threads import cap

if TYPE_CHECKING:
    from kernel_remote.shipment import Shipment

__all__ = ["parcel"]


def parcel(shipment: Shipment, variables: Mapping[str, str]) -> bytes:
    """Wrap a pickled program and its main module.

    The worker that unpickles it first searches modules where this process does, now. It also goes to the folder where
    this process is, and caps the threads of its libraries by `variables`.
    """
    try:
        folder = os.getcwd()  # noqa: PTH109 - it goes into a message as text
    except FileNotFoundError:  # it was deleted
        folder = ""
    path = [each for each in sys.path if isinstance(each, str)]  # Python itself passes over all others
    return pickle.dumps(_Parcel(shipment, path, folder, dict(variables)), 5)


class _Parcel:
    def __init__(self, *contents: Any) -> None:
        self._contents = contents

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpack, self._contents


def _unpack(shipment: Shipment, path: list[str], folder: str, variables: dict[str, str]) -> Any:
    sys.path[:] = path
    try:
        os.chdir(folder)
    except OSError:
        pass  # there is no such folder any more; the worker stays where it is
    cap(variables)
    if shipment.definitions is None and "kernel_remote.stand_in" not in sys.modules:
        return pickle.loads(shipment.program)  # there is no main module to speak of, and there was none before
    from kernel_remote.stand_in import take_up  # noqa: PLC0415 - most projects are modules

    return take_up(shipment)
