"""Turns Ctrl-C, termination and hang-up into something that the loop of a run can act on in its own time."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

__all__ = ["Signals"]

_WATCHED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Signals:
    """While open, notes the signals that ask the run to end, and wakes the loop.

    Handlers are set in the main thread only, where Python allows it, and only over the defaults: a program with
    handlers of its own keeps them. They are put back at the end.
    """

    def __init__(self, wake: Callable[[], None], *, inline: Callable[[], bool]) -> None:
        self._wake = wake
        #: Whether a node runs in this very thread: only an exception can end one.
        self._inline = inline
        self._before: dict[int, Any] = {}
        self.received: list[int] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _WATCHED:
                before = signal.getsignal(number)
                if before is signal.SIG_DFL or before is signal.default_int_handler:
                    self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before.clear()

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.received.append(number)
        self._wake()
        if self._inline():
            raise KeyboardInterrupt
