"""Another real process, started clean: stores are opened there, and datasets built, as workers do.

Run as a program it answers calls, pickled, from its standard input; nobody but its parent talks to it.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

__all__ = ["Elsewhere"]


class Elsewhere:
    """Calls functions in another process; their first argument is a dict that lasts there from call to call."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kernel.testing.elsewhere"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call an importable function there; return or raise what it does."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        _send(self._process.stdin, (function, arguments))
        good, answer = _receive(self._process.stdout)
        if not good:
            raise answer
        return answer

    def kill(self) -> None:
        """Kill it."""
        self._process.kill()
        self._end()

    def close(self) -> None:
        """Let it end in good order."""
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()
        self._end()

    def _end(self) -> None:
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None and not stream.closed:
                stream.close()


def _send(stream: BinaryIO | Any, message: object) -> None:
    data = pickle.dumps(message, 5)
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def _receive(stream: BinaryIO | Any) -> Any:
    size = stream.read(8)
    if not size:
        raise EOFError("the other process is gone")
    return pickle.loads(stream.read(int.from_bytes(size, "little")))


def _serve() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a function prints must not get between the answers
    kept: dict[str, Any] = {}
    while True:
        try:
            function, arguments = _receive(sys.stdin.buffer)
        except EOFError:
            return  # the parent is done, or gone
        try:
            answer = (True, function(kept, *arguments))
        except Exception as error:  # whatever it is, the caller gets it
            answer = (False, error)
        _send(answers, answer)


if __name__ == "__main__":
    _serve()
