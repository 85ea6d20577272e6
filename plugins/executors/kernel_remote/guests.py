"""Main modules of several runners in one process of an engine: each turn sees that of its own runner.

The process keeps its own main module as well. What stands before it while runs are here looks up names in the module
that stands in for the runner's whose turn it is, and then in the own one; it goes with the last run.
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kernel.values import main_module
from kernel_remote.stand_in import Sent

if TYPE_CHECKING:
    from kernel_remote.shipment import Definitions, Shipment

__all__ = ["Guest"]

_here: ContextVar[Sent | None] = ContextVar("_here", default=None)
_guests: list[Guest] = []
_lock = Lock()


class Guest:
    """A runner's program and main module in a process that is not the runner's.

    `alone`: the process serves one runner at a time, so threads that nodes start see its main module, too.
    """

    def __init__(self, shipment: Shipment, definitions: Definitions, *, alone: bool) -> None:
        self._sent = Sent(shipment, definitions)
        #: What threads see which belong to no turn.
        self.in_all_threads = self._sent if alone else None
        self._counted = main_module.as_known(known=True)
        self._counted.__enter__()
        with _lock:
            _guests.append(self)
            _show()

    def program(self) -> Any:
        """Unpickle the program; raises whatever its rebuilding raises."""
        with self.inside():
            return self._sent.program()

    @contextmanager
    def inside(self) -> Generator[None]:
        """See the runner's main module in this thread."""
        tokens = _here.set(self._sent), main_module.entered.set(self._sent.main)
        try:
            yield
        finally:
            _here.reset(tokens[0])
            main_module.entered.reset(tokens[1])

    def leave(self) -> None:
        """Let go of the runner's main module; may be called twice."""
        with _lock:
            if self not in _guests:
                return
            _guests.remove(self)
            _show()
        self._counted.__exit__(None, None, None)


class _Shared(ModuleType):
    """Stands before the main module of a process."""

    __slots__ = ("_own",)

    def __init__(self, own: ModuleType) -> None:
        super().__init__("__main__")
        object.__setattr__(self, "_own", own)

    def __getattribute__(self, name: str) -> Any:
        sent = _seen()
        if sent is not None:
            try:
                return getattr(sent.module, name)
            except AttributeError:  # it may say why what the runner's module has is not here
                if name in sent.definitions.left_out or not hasattr(_own(self), name):
                    raise
        return getattr(_own(self), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_target(self), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_target(self), name)


def _own(shared: _Shared) -> ModuleType:
    own: ModuleType = object.__getattribute__(shared, "_own")
    return own


def _target(shared: _Shared) -> ModuleType:
    sent = _seen()
    return _own(shared) if sent is None else sent.module


def _seen() -> Sent | None:
    return _here.get() or (_guests[-1].in_all_threads if _guests else None)


def _show() -> None:
    """Put what stands before the own main module in its place, or take it away after the last guest."""
    module = sys.modules["__main__"]
    if _guests and not isinstance(module, _Shared):
        sys.modules["__main__"] = _Shared(module)
    elif not _guests and isinstance(module, _Shared):
        sys.modules["__main__"] = _own(module)
    latest = _guests[-1].in_all_threads if _guests else None
    main_module.stand_in(latest.main if latest is not None else None)
