"""Time limits and polling: a backend that breaks its contract shall fail a test, never hang it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

import pytest

__all__ = ["eventually", "time_limit"]


@contextmanager
def time_limit(seconds: float) -> Generator[None]:
    """Fail what runs in this block for longer than that.

    Works in the main thread of systems with timers; elsewhere the test runner's own limit has to do. A limit that was
    set around it goes on afterwards.
    """
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        pytest.fail(f"it was not over after {seconds:g} seconds: something waits for ever")

    begun = time.monotonic()
    before = signal.signal(signal.SIGALRM, stop)
    outer, _ = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        left = max(0.01, outer - (time.monotonic() - begun)) if outer else 0.0
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
        if left:
            signal.setitimer(signal.ITIMER_REAL, left)


def eventually(check: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Return as soon as `check` says so; fail with `what` when it has not within the time."""
    until = time.monotonic() + seconds
    while not check():
        if time.monotonic() > until:
            pytest.fail(f"not within {seconds:g} seconds: {what}")
        time.sleep(0.005)
