"""Asks the server process for workers, tells of their ends, and starts another server when one has died."""

from __future__ import annotations

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from time import time_ns
from typing import Any

from kernel.errors import KernelError
from kernel_process_pool.deaths import Death, in_words
from kernel_process_pool.methods import refuse_unsafe_fork
from kernel_process_pool.orphans import MARK, end_group, end_marked
from kernel_process_pool.serving import ServerProcess, start_server
from kernel_process_pool.threads import unset
from kernel_remote.caller import search_path

__all__ = ["Launcher"]

#: So many servers in a row that end before they have made a worker mean that none ever will.
_MOST_FALSE_STARTS = 3
#: How long the processes of a pool are waited for (seconds): what hangs in the system cannot be ended by anybody.
_PATIENCE_S = 10.0
_SWEEP_S = 1.0
#: How long a server has to end whose stream has ended (seconds).
_FAREWELL_S = 0.5

#: How long one that is not wanted may take to end by itself (seconds).
_LEAVE_S = 0.1
#: What the server needs whatever it is going to make: every worker has it.
_OWN_MODULES = ("kernel_process_pool.child", "kernel_process_pool.server")

_log = logging.getLogger("kernel")
_marks = count()


class Launcher:
    """Makes workers and tells of their ends. The server is started with the first worker, or ahead of it.

    `stacks` is a descriptor that every worker gets. Raises ConfigError for the method `fork` while other threads live.
    """

    def __init__(self, method: str, stacks: int) -> None:
        self._mark = f"{os.getpid()}-{time_ns()}-{next(_marks)}"
        self._boot: dict[str, Any] = {
            "method": method,
            "modules": _OWN_MODULES,
            "path": search_path(),
            "runner": os.getpid(),
            "python": [sys.executable, *_flags(), "-P"],
            "stacks": stacks,
        }
        #: What each server loads, and the variables that it sets, before it makes workers.
        self._modules: list[str] = []
        self._variables: Mapping[str, str] = {}
        #: The world in which a server that was started ahead has loaded something last.
        self._told: dict[str, Any] = {}
        self._server: ServerProcess | None = None
        self._control: socket.socket | None = None
        self._pids: dict[int, int] = {}
        self._asked: set[int] = set()
        self._rest = b""
        self._false_starts = 0
        #: The server has begun to run our code.
        self._is_there = False
        if method == "fork":
            refuse_unsafe_fork()

    def start_ahead(self, variables: Mapping[str, str]) -> None:
        """Start the server now, with these variables; raises OSError when there is no room for it."""
        self._server, self._control = start_server(self._boot, {**variables, MARK: self._mark})

    def load(self, module: str, variables: Mapping[str, str]) -> bool:
        """Have a server that was started ahead load a library that is loaded here just now, in the same world.

        False: it is so far behind that this would have to wait. It can only be discarded then.
        """
        world = self._world(variables)
        news = {what: found for what, found in world.items() if found != self._told.get(what)}
        self._told = world
        line = _line([module, news])
        try:
            return self._control is not None and self._control.send(line, socket.MSG_DONTWAIT) == len(line)
        except OSError:  # there is no room in the stream, or the server has ended
            return False

    def begin(self, modules: Sequence[str], variables: Mapping[str, str]) -> None:
        """Have the server, and each that takes its place, load the rest of what all workers need."""
        self._modules, self._variables = list(modules), variables
        self._boot["path"] = search_path()
        self._instruct()

    def _instruct(self) -> None:
        """Tell the server how workers are made, in the caller's world as it is now."""
        if self._control is not None:
            with suppress(OSError):  # it has ended: `collect` finds that out, and another one is started
                self._control.sendall(_line({"modules": self._modules, "world": self._world(self._variables)}))

    def _world(self, variables: Mapping[str, str]) -> dict[str, Any]:
        ours = unset()
        capped = {name: value for name, value in variables.items() if name in ours}
        return {"path": search_path(), "environ": {**os.environ, **capped, MARK: self._mark}, "folder": _folder()}

    def start(self, number: int, stream: socket.socket, slots: int) -> None:
        """Ask for worker `number`; it gets this end of its stream, and the descriptor of the slots."""
        if self._control is None:
            self._rest, self._is_there = b"", False
            try:
                self.start_ahead({})
            except OSError as error:
                raise KernelError(f"the process that makes workers could not be started: {error.strerror}") from error
            self._instruct()
        assert self._control is not None
        self._asked.add(number)
        with stream:
            try:
                socket.send_fds(self._control, [json.dumps(number).encode() + b"\n"], [stream.fileno(), slots])
            except OSError:
                return  # the server has ended; `collect` will find that out, and tell that this worker has, too

    def descriptors(self) -> Sequence[int]:
        """List the descriptors that become readable when there is something to collect; they change with `start`."""
        return [self._control.fileno()] if self._control is not None else []

    def collect(self) -> Sequence[Death]:
        """Return the workers that have ended; the end of the server is the end of them all.

        Raises KernelError when server after server ends before it has made a worker.
        """
        assert self._control is not None
        try:
            data = self._control.recv(65536)
        except OSError:
            data = b""
        if not data:
            return self._bury_server()
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [death for line in lines if (death := self._hear(*json.loads(line))) is not None]

    def _hear(self, kind: str, *facts: Any) -> Death | None:
        if kind == "here":
            self._is_there = True
        elif kind == "started":
            number, pid = facts
            self._pids[number] = pid
            self._false_starts = 0
        elif kind == "ended":
            number, pid, code = facts
            self._pids.pop(number, None)
            self._asked.discard(number)
            return Death(number, pid, code)
        elif kind == "refused":
            number, why = facts
            self._asked.discard(number)
            return Death(number, 0, None, why)
        elif kind == "missing":
            _log.info("%s could not be loaded before the workers start, so each loads it by itself: %s", *facts)
        else:
            _log.info("Libraries of this project start threads (%s), so workers are spawned, not forked.", *facts)
        return None

    def _bury_server(self) -> Sequence[Death]:
        """End what a dead server has left, so that no old worker meets its successor; raises as `collect` does."""
        self._close_control()
        assert self._server is not None
        try:
            code = self._server.wait(_FAREWELL_S)
            how = in_words(code)
        except subprocess.TimeoutExpired:  # it has closed the stream only
            self._server.kill()
            code = self._server.wait()
            how = in_words(code, guess=False)
        for pid in self._pids.values():
            end_group(pid)
        end_marked(self._mark, _SWEEP_S)
        if not self._is_there and code > 0:
            raise KernelError(
                f"{self._boot['python'][0]} was started to make workers, with the option -c, and ended with exit code "
                f"{code} before it ran what it was given: is it a Python interpreter? Look for its last words on "
                f"standard error"
            )
        deaths = [Death(number, self._pids.get(number, 0), None) for number in sorted(self._asked)]
        self._asked.clear()
        self._pids.clear()
        self._false_starts += 1
        if self._false_starts >= _MOST_FALSE_STARTS:
            raise KernelError(
                f"the process that makes workers ended {self._false_starts} times before it had made one, "
                f"at last by {how}; look for its last words on standard error, or use the start method 'spawn'"
            )
        return deaths

    def _close_control(self) -> None:
        control, self._control = self._control, None
        if control is not None:
            with suppress(OSError):  # the server has closed its end
                control.shutdown(socket.SHUT_RDWR)  # processes that were forked off have copies of ours
            control.close()

    def pid(self, number: int) -> int | None:
        """Return a worker's process, once it is known."""
        return self._pids.get(number)

    def kill(self, number: int, signum: int) -> None:
        """Send a signal to a worker. It may have ended, but its pid is not reused before the server collects it."""
        pid = self._pids.get(number)
        if pid is not None:
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                return  # collected meanwhile; the news is on its way

    def discard(self) -> None:
        """End a server that has made no worker, whatever it does, and what libraries have started in it."""
        self._close_control()
        if self._server is not None:
            try:
                self._server.wait(_LEAVE_S)  # one that has nothing to do ends by itself, and what it has made
            except subprocess.TimeoutExpired:
                self._end_server()

    def _end_server(self) -> None:
        assert self._server is not None
        with suppress(PermissionError):  # this process has laid down its rights since; the closed stream ends it, too
            self._server.kill()
            self._server.wait()
            end_group(self._server.pid)
        for pid in self._pids.values():
            end_group(pid)
        end_marked(self._mark, _SWEEP_S)

    def close(self) -> None:
        """End what is left of the workers, and whatever made them."""
        self._close_control()
        if self._server is None:
            return
        try:
            self._server.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:  # stopped or stuck
            self._end_server()
        self._pids.clear()


def _line(message: Any) -> bytes:
    return json.dumps(message).encode() + b"\n"


def _folder() -> str | None:
    try:
        return str(Path.cwd())
    except OSError:  # it was removed
        return None


def _flags() -> list[str]:
    """Return the interpreter's own options, so that workers run as the runner does."""
    flags: Callable[[], list[str]] = getattr(subprocess, "_args_from_interpreter_flags")  # noqa: B009 - no public name
    return flags()
