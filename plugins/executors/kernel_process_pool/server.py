"""The server process: makes workers on request, in a process that is clean, single-threaded and does nothing else.

With `forkserver` it has loaded the project's modules and forks itself; with `spawn` it starts a fresh interpreter. In
both cases it is the workers' parent: it tells the runner of their ends, and when the runner ends, however it does,
the server ends and takes its workers with it.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import socket
import subprocess
from types import FrameType
from typing import Any, NoReturn

from kernel_process_pool.deaths import reap
from kernel_process_pool.lifeline import fork, open_process

__all__ = ["main"]


def main(control: socket.socket, boot: dict[str, Any]) -> NoReturn:
    """Serve requests until the runner closes the stream or ends."""
    for name in boot["modules"]:
        try:
            importlib.import_module(name)
        except BaseException:  # noqa: S112 - the worker that needs it fails with the whole story, to the right node
            continue
    _Server(control, boot).serve()
    os._exit(0)


class _Server:
    def __init__(self, control: socket.socket, boot: dict[str, Any]) -> None:
        self._control = control
        self._boot = boot
        self._workers: dict[int, int] = {}
        self._rest = b""
        self._descriptors: list[int] = []
        self._woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._runner = open_process(boot["runner"])

    def serve(self) -> None:
        """Do what is asked and tell of ends, until there is nobody to tell."""
        poll = select.poll()
        for fd in (self._control.fileno(), self._woken, self._runner):
            if fd is not None:
                poll.register(fd, select.POLLIN)
        going_on = True
        while going_on:
            ready = [fd for fd, _ in poll.poll()]
            if self._woken in ready:
                os.read(self._woken, 4096)
                self._collect()
            going_on = self._runner not in ready and (self._control.fileno() not in ready or self._take_requests())
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
        for pid in list(self._workers):
            reap(pid, block=True)

    def _take_requests(self) -> bool:
        """Start the workers that are asked for; False when the runner has closed the stream."""
        data, fds, _, _ = socket.recv_fds(self._control, 65536, 64)
        if not data:
            return False
        *requests, self._rest = (self._rest + data).split(b"\n")
        self._descriptors += fds
        for request in requests:
            self._start(json.loads(request), self._descriptors.pop(0), self._descriptors.pop(0))
        return True

    def _start(self, number: int, stream: int, slots: int) -> None:
        if self._boot["method"] == "spawn":
            pid = spawn_worker(number, stream, slots, self._boot)
        else:
            pid = fork()
            if pid == 0:
                self._become_worker(number, stream, slots)
        os.close(stream)
        os.close(slots)
        self._workers[pid] = number
        self._tell(["started", number, pid])

    def _become_worker(self, number: int, stream: int, slots: int) -> NoReturn:
        from kernel_process_pool import child  # noqa: PLC0415 - the server itself never needs it

        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._control.close()
        os.close(self._woken)
        if self._runner is not None:
            os.close(self._runner)
        child.main(number, stream, slots, os.getppid())

    def _collect(self) -> None:
        for pid in list(self._workers):
            code = reap(pid)
            if code is not None:
                self._tell(["ended", self._workers.pop(pid), pid, code])

    def _tell(self, message: list[Any]) -> None:
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:  # the runner is gone; the loop sees that for itself
            return


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the signal's number is written to the wake-up descriptor, which is all that is wanted of it."""


def spawn_worker(number: int, stream: int, slots: int, boot: dict[str, Any]) -> int:
    """Start a worker in a fresh interpreter; return its pid."""
    code = (
        "import sys, json; boot = json.loads(sys.argv[1]); sys.path[:] = boot['path']; "
        "from kernel_process_pool import child; child.main(*boot['worker'])"
    )
    worker = [number, stream, slots, os.getpid()]
    arguments = json.dumps({"path": boot["path"], "worker": worker})
    # Not waited for here: the server collects it when it ends, as it does its forked workers.
    process = subprocess.Popen(
        [*boot["python"], "-c", code, arguments], pass_fds=(stream, slots), stdin=subprocess.DEVNULL
    )
    process.returncode = 0
    return process.pid
