"""Starts the process that makes workers: a fresh interpreter, or (`fork`) a fork of the runner."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn, Protocol

from kernel.starting import STARTING
from kernel_process_pool.lifeline import fork, open_process, wait_readable
from kernel_process_pool.methods import refuse_unsafe_fork
from kernel_process_pool.streams import close_ours, open_stream

__all__ = ["ServerProcess", "start_server"]

#: What the server's interpreter runs first. Its instructions come on the stream, so that no argument is too long, and
#: are read to the byte: what follows them has descriptors attached, which a buffered read would lose.
_SERVER = (
    f"import os, sys, json, socket; os.environ.pop({STARTING!r}, None); "
    "control = socket.socket(fileno=int(sys.argv[1])); "
    "size = int.from_bytes(control.recv(8, socket.MSG_WAITALL), 'big'); "
    "boot = json.loads(control.recv(size, socket.MSG_WAITALL)); sys.path[:] = boot['path']; "
    "from kernel_process_pool.server import main; main(control, boot)"
)


class ServerProcess(Protocol):
    """The process that makes workers, as its parent has it."""

    pid: int

    def wait(self, timeout: float | None = None) -> int:
        """Collect it when it has ended; raises `subprocess.TimeoutExpired`."""
        ...

    def kill(self) -> None:
        """Send it SIGKILL, if it was not collected."""
        ...


def start_server(boot: Mapping[str, Any], environ: Mapping[str, str]) -> tuple[ServerProcess, socket.socket]:
    """Start a server with these variables in its environment; return it, and the runner's end of its stream.

    `boot` is what `kernel_process_pool.server.main` takes. With the method `fork`, raises ConfigError beside threads.
    """
    ours, theirs = open_stream()
    try:
        with theirs:
            start = _fork_server if boot["method"] == "fork" else _execute_server
            return start(boot, environ, ours, theirs), ours
    except BaseException:
        ours.close()
        raise


def _execute_server(
    boot: Mapping[str, Any], environ: Mapping[str, str], ours: socket.socket, theirs: socket.socket
) -> ServerProcess:
    process = subprocess.Popen(
        [*boot["python"], "-c", _SERVER, str(theirs.fileno())],
        pass_fds=(theirs.fileno(), boot["stacks"]),
        stdin=subprocess.DEVNULL,
        env={**os.environ, **environ, STARTING: "1"},
        process_group=0,  # the terminal's Ctrl-C is for the runner, which tells its workers itself
    )
    body = json.dumps(boot).encode()
    ours.sendall(len(body).to_bytes(8, "big") + body)
    return process


class _Forked:
    """A forked child with the few methods that we use of `subprocess.Popen`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._collected = False
        self._process = open_process(pid)

    def wait(self, timeout: float | None = None) -> int:
        if self._collected:
            return 0
        if self._process is not None:
            if timeout is not None and not wait_readable(self._process, timeout):
                raise subprocess.TimeoutExpired("the process that makes workers", timeout)
            os.close(self._process)
            self._process = None
        self._collected = True
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:  # a caller that ignores SIGCHLD has its children collected by the system
            return 0

    def kill(self) -> None:
        if not self._collected:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)


def _fork_server(
    boot: Mapping[str, Any], environ: Mapping[str, str], _ours: socket.socket, theirs: socket.socket
) -> ServerProcess:
    refuse_unsafe_fork()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # a program without a terminal may have none
            stream.flush()
    pid = fork()
    if pid == 0:
        _become_server(dict(boot), environ, theirs)
    return _Forked(pid)


def _become_server(boot: dict[str, Any], environ: Mapping[str, str], control: socket.socket) -> NoReturn:
    """Leave the runner's life behind, in the forked child: its signals, its open streams, its way to end."""
    try:
        gc.freeze()  # the runner's garbage is its own: finalisers of it would close here what has its number now
        from kernel_process_pool import server  # noqa: PLC0415 - loaded before the fork by the executor

        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        _forget_managers()
        close_ours(keep=control.fileno())
        sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - what the user types is for the runner
        os.dup2(sys.stdin.fileno(), 0)
        os.environ.update(environ)
        server.main(control, boot)
    finally:
        os._exit(1)  # whatever went wrong: this is not the runner, and must not go on as if it were


def _forget_managers() -> None:
    """Have proxies of `multiprocessing` make connections of their own, as they do where it has forked by itself."""
    managers: Any = sys.modules.get("multiprocessing.managers")
    known: dict[Any, Any] = getattr(getattr(managers, "BaseProxy", None), "_address_to_local", {})
    for connections in known.values():
        connections[0].__dict__.clear()
