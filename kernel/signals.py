"""Turns Ctrl-C, termination and hang-up into something that the loop of a run can act on in its own time."""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from math import inf
from time import monotonic, sleep
from types import FrameType, TracebackType
from typing import Any, Self

from kernel.errors import Interrupted
from kernel.processes import Home

__all__ = ["Signals", "end_by_signal"]

#: How long a node in this thread has to end after a second signal, and how often it is looked (seconds).
_LAST_CHANCE_S, _LOOK_S = 0.5, 0.05

_WATCHED = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
#: Those that are open in this process: there is one main thread, but a node of a run may start another run.
_open: list[Signals] = []
#: By thread that forks: the signals that it held back before.
_masks = threading.local()
_home = Home()


class Signals:
    """While open, notes the signals that ask the run to end, and wakes the loop.

    Handlers are set in the main thread only, where Python allows it, and only over the defaults: a program with
    handlers of its own keeps them. They are put back at the end, and in each child that is forked off meanwhile: such
    a process takes signals as if there was no run.
    """

    def __init__(self, wake: Callable[[], None], *, inline: Callable[[], bool], grace_s: float) -> None:
        self._wake = wake
        self._grace_s = grace_s
        self._deadline = inf
        #: Whether a node runs in this very thread: only an exception can end one.
        self._inline = inline
        self._before: dict[int, Any] = {}
        self._home = Home()
        self.received: list[int] = []

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _WATCHED:
                before = signal.getsignal(number)
                if before is signal.SIG_DFL or before is signal.default_int_handler:
                    self._before[number] = signal.signal(number, self._note)
            if self._before:
                _open.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        if self in _open:
            _open.remove(self)
        self.put_back()

    def put_back(self) -> None:
        """Set the handlers that were there before; what was set over ours since then stays."""
        for number, before in self._before.items():
            if signal.getsignal(number) == self._note:
                signal.signal(number, before)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if not self._home.is_here or self not in _open:  # in a child, or set again by somebody after the run
            signal.signal(number, self._before[number])
            os.kill(os.getpid(), number)
            return
        self.received.append(number)
        self._wake()
        if self._inline():
            first = len(self.received) == 1
            self._deadline = min(self._deadline, monotonic() + (self._grace_s if first else _LAST_CHANCE_S))
            if first:  # not by `threading`: its locks may be held by what this handler has interrupted
                _thread.start_new_thread(self._watch, ())
            raise KeyboardInterrupt

    def _watch(self) -> None:
        """End this process when its time is over: a node that runs in it has swallowed the exception."""
        while self in _open:
            if monotonic() >= self._deadline:
                os.write(2, b"kernel: a node goes on after an interrupt and cannot be stopped; the process ends\n")
                os._exit(128 + self.received[0])
            sleep(_LOOK_S)


def end_by_signal() -> None:
    """Have this program end by the signal of an `Interrupted` that nobody catches, as Python does with Ctrl-C's own."""
    before = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        before(kind, error, trace)
        is_end = getattr(sys, "last_value", None) is error and not (hasattr(sys, "ps1") or sys.flags.interactive)
        if isinstance(error, Interrupted) and is_end and _home.is_here:
            _end_by(error.signal)

    if not getattr(before, "_of_kernel", False):
        setattr(hook, "_of_kernel", True)  # noqa: B010 - functions have no such attribute by their type
        sys.excepthook = hook


def _end_by(number: int) -> None:
    """Do what the interpreter does at its end, then die by a signal."""
    for ending in (getattr(threading, "_shutdown", None), getattr(atexit, "_run_exitfuncs", None)):
        if ending is not None:
            ending()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)


def _hold_back() -> None:
    """Before a fork: a signal that reached the child before it has put anything back would be lost.

    Python forgets, in a child, what came for a handler before the child's first instruction.
    """
    if _open:
        _masks.of_thread = signal.pthread_sigmask(signal.SIG_BLOCK, _WATCHED)


def _let_through() -> None:
    mask, _masks.of_thread = getattr(_masks, "of_thread", None), None
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _put_all_back() -> None:
    """In a child that was just forked off: the handlers act for the process that set them."""
    for signals in reversed(_open):
        signals.put_back()
    _open.clear()
    _let_through()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold_back, after_in_parent=_let_through, after_in_child=_put_all_back)
