"""Messages on their way to the runner, each of them whole whatever interrupts their sender."""

from __future__ import annotations

import errno
import socket
import threading
from collections import deque
from collections.abc import Callable
from typing import NoReturn

__all__ = ["Outbox"]


class Outbox:
    """Sends messages in order; log records come from any thread of a node.

    A node may have set handlers of signals that raise, or that log, while a message is half out. Python calls them
    between two steps of its own in the main thread, so each step here leaves things as the next one can take them up:
    how much of a message is out is noted in the same step of C code that sends it. What was begun is finished, and
    only then goes on what the handler has raised.
    """

    def __init__(self, connection: socket.socket, cut: Callable[[], NoReturn]) -> None:
        #: Ends this process: a node has closed the stream, so nothing can be told any more.
        self._cut = cut
        self._write = connection.send
        self._waiting: deque[tuple[bytes, list[int]]] = deque()
        self._lock = threading.RLock()
        self._busy = False
        #: The runner has closed its end, and with it everybody is gone who wants to know.
        self.is_closed = False

    def send(self, message: bytes) -> None:
        """Send a message; one that interrupts another of the same thread is sent behind it, by that call."""
        self._waiting.append((message, []))
        self.finish()

    def finish(self) -> None:
        """Send what is waiting; raises at the end what a handler has raised meanwhile."""
        raised: BaseException | None = None
        while self._waiting:
            try:
                with self._lock:
                    if self._busy:
                        return
                    self._busy = True
                    try:
                        self._send_waiting()
                    finally:
                        self._busy = False
            except ConnectionError:
                self.is_closed = True
                self._waiting.clear()
            except OSError as error:
                if error.errno in {errno.EBADF, errno.ENOTSOCK}:
                    self._cut()
                raised = error
            except BaseException as error:  # not ours: nothing here raises anything else
                raised = error
        if raised is not None:
            raise raised

    def _send_waiting(self) -> None:
        waiting, write = self._waiting, self._write
        while waiting:
            message, sent = waiting[0]
            done = sum(sent)
            if done == len(message):
                waiting.popleft()
            else:
                sent.extend(map(write, (memoryview(message)[done:],)))
