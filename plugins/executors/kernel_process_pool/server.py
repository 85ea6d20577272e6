"""The server process: makes workers on request, in a process that has one thread and does nothing else.

With `forkserver` it is a clean process that has loaded the libraries of the project, and forks itself; with `fork` it
is a fork of the runner, and forks itself; with `spawn` it starts a fresh interpreter. In each case it is the workers'
parent: it tells the runner of their ends, and ends what they leave behind. When the runner ends, however it does, the
server ends and takes its workers with it.
"""

from __future__ import annotations

import errno
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress
from time import monotonic
from types import FrameType
from typing import Any, NoReturn, cast

from kernel.starting import STARTING
from kernel_process_pool.deaths import reap
from kernel_process_pool.lifeline import adopt_orphans, fork, open_process, wait_readable
from kernel_process_pool.orphans import end_adopted

__all__ = ["main"]

#: How often it is looked, while modules are loaded, whether the runner still lives (seconds).
_LOOK_S = 0.25
#: How long the end of killed processes is waited for; one that hangs in the system would not even let us end (seconds).
_PATIENCE_S = 2.0


def main(control: socket.socket, boot: dict[str, Any]) -> NoReturn:
    """Serve requests until the runner closes the stream or ends.

    It may be started long before there is anything to run: then it loads, one by one, what the runner loads meanwhile.
    What is asked for comes as lines of JSON: `[module, world]` to load one, once a table with the rest of what workers
    need, and from then on the number of a worker, with the descriptors of its stream and of the slots.
    """
    adopt_orphans()
    server = _Server(control, boot)
    server.tell(["here"])
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    server.load(boot["modules"])
    server.serve()
    os._exit(0)


class _Server:
    def __init__(self, control: socket.socket, boot: dict[str, Any]) -> None:
        self._control = control
        self._boot = boot
        self._spawns = boot["method"] == "spawn"
        self._pid = os.getpid()
        self._workers: dict[int, int] = {}
        self._rest = b""
        self._descriptors: list[int] = []
        self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._runner = open_process(boot["runner"])

    # -- before the first worker ----------------------------------------------------------------------------------

    def load(self, modules: Sequence[str]) -> None:
        """Load what workers need, so that they have it when they start; tell which modules could not be loaded."""
        if self._spawns:
            return
        before = signal.signal(signal.SIGALRM, self._leave_if_alone)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGALRM])
        signal.setitimer(signal.ITIMER_REAL, _LOOK_S, _LOOK_S)
        for name in modules:
            try:
                importlib.import_module(name)
            except BaseException as error:  # the worker that needs it fails with the whole story, to the right node
                self.tell(["missing", name, f"{type(error).__name__}: {error}"])
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    def _begin(self, instructions: dict[str, Any]) -> None:
        """Take on the runner's world, load what is missing and be ready to make workers.

        A library that starts threads makes forking unsafe from then on: workers are spawned then.
        """
        _enter(instructions["world"])
        self._boot["path"] = sys.path
        self.load(instructions["modules"])
        names = () if self._spawns else _threads()
        if names:
            self._spawns = True
            self.tell(["threads", ", ".join(names)])
        self._take_signals()  # only now: what is inherited, or loaded, may have set them in other ways
        gc.freeze()  # what server and workers share is left out of collections, which would copy its pages

    def _take_signals(self) -> None:
        """Let the ends of workers wake `serve`."""
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        signal.set_wakeup_fd(self._wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, _ignore)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def _leave_if_alone(self, _number: int, _frame: FrameType | None) -> None:
        if os.getppid() != self._boot["runner"]:
            os._exit(0)

    # -- requests -------------------------------------------------------------------------------------------------

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
                self._collect()
            going_on = self._runner not in ready and (self._control.fileno() not in ready or self._take_requests())
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
        until = monotonic() + _PATIENCE_S
        while self._collect() and monotonic() < until:
            wait_readable(self._woken, until - monotonic())

    def _take_requests(self) -> bool:
        """Do what is asked; False when the runner has closed the stream."""
        try:
            data, fds, flags, _ = socket.recv_fds(self._control, 65536, 64)
        except ConnectionError:  # it ended with something unread
            return False
        if not data:
            return False
        *requests, self._rest = (self._rest + data).split(b"\n")
        is_cut = bool(flags & socket.MSG_CTRUNC)  # of what is received at once, the last message alone has descriptors
        if is_cut:
            for fd in fds:
                os.close(fd)
        else:
            self._descriptors += fds
        for line in requests:
            request: Any = json.loads(line)
            if isinstance(request, int) and is_cut:
                self.tell(["refused", request, os.strerror(errno.EMFILE)])
            elif isinstance(request, int):
                self._start(request, self._descriptors.pop(0), self._descriptors.pop(0))
            elif isinstance(request, dict):
                self._begin(cast("dict[str, Any]", request))
            else:
                module, world = request
                _enter(world)
                self.load([module])
        return True

    def _start(self, number: int, stream: int, slots: int) -> None:
        try:
            pid = _spawn_worker(number, stream, slots, self._boot) if self._spawns else fork()
        except OSError as error:  # a limit on processes, memory or descriptors
            self.tell(["refused", number, error.strerror])
            return
        finally:
            if os.getpid() == self._pid:
                os.close(stream)
                os.close(slots)
        if pid == 0:
            self._become_worker(number, stream, slots)
        self._workers[pid] = number
        self.tell(["started", number, pid])

    def _become_worker(self, number: int, stream: int, slots: int) -> NoReturn:
        from kernel_process_pool import child  # noqa: PLC0415 - the server itself never needs it

        self._control.close()
        for fd in (self._woken, self._wake, self._runner):
            if fd is not None:
                os.close(fd)
        child.main(number, stream, slots, self._boot["stacks"], os.getppid())

    # -- ends -----------------------------------------------------------------------------------------------------

    def _collect(self) -> bool:
        """Tell of the workers that have ended and end what they left behind; say whether anybody may still be there."""
        try:
            os.read(self._woken, 4096)
        except BlockingIOError:
            pass  # nobody has ended since the last time
        for pid in list(self._workers):
            code = reap(pid)
            if code is not None:
                self.tell(["ended", self._workers.pop(pid), pid, code])
        return end_adopted(self._workers) or bool(self._workers)

    def tell(self, message: list[Any]) -> None:
        """Send the runner some news, as `Launcher` understands them."""
        try:
            self._control.sendall(json.dumps(message).encode() + b"\n")
        except OSError:  # the runner is gone; the loop sees that for itself
            return


def _enter(world: dict[str, Any]) -> None:
    """Put in force what is new of what the runner's modules find: where to search, variables, the folder."""
    if "path" in world:
        sys.path[:] = world["path"]
    if "environ" in world:
        variables = world["environ"]
        for name in os.environ.keys() - variables.keys():
            del os.environ[name]
        os.environ.update(variables)
    if world.get("folder") is not None:
        with suppress(OSError):  # it may be none that the server can enter, and need not be
            os.chdir(world["folder"])


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing: the signal's number is written to the wake-up descriptor, which is all that is wanted of it."""


def _threads() -> list[str]:
    """Name the Python threads beside this one."""
    threading = sys.modules.get("threading")
    if threading is None:
        return []
    return [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]


def _spawn_worker(number: int, stream: int, slots: int, boot: dict[str, Any]) -> int:
    """Start a worker in a fresh interpreter; return its pid."""
    import subprocess  # noqa: PLC0415 - a server that forks has no use for it

    code = (
        f"import os, sys, json; os.environ.pop({STARTING!r}, None); boot = json.loads(sys.argv[1]); "
        "sys.path[:] = boot['path']; "
        "from kernel_process_pool import child; child.main(*boot['worker'])"
    )
    worker = [number, stream, slots, boot["stacks"], os.getpid()]
    arguments = json.dumps({"path": boot["path"], "worker": worker})
    # Not waited for here: the server collects it when it ends, as it does its forked workers.
    process = subprocess.Popen(
        [*boot["python"], "-c", code, arguments],
        pass_fds=(stream, slots, boot["stacks"]),
        stdin=subprocess.DEVNULL,
        env={**os.environ, STARTING: "1"},
    )
    process.returncode = 0
    return process.pid
