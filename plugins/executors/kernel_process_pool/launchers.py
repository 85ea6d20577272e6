"""Makes worker processes, straight from the runner (`fork`) or through the server process, and tells of their ends."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol

from kernel.errors import KernelError
from kernel_process_pool.deaths import Death, reap
from kernel_process_pool.lifeline import fork, open_process
from kernel_process_pool.methods import refuse_unsafe_fork

__all__ = ["ForkLauncher", "Launcher", "ServerLauncher"]

#: What the server's interpreter runs first. Its instructions come on the stream, so that no argument is too long, and
#: are read to the byte: what follows them has descriptors attached, which a buffered read would lose.
_SERVER = (
    "import sys, json, socket; control = socket.socket(fileno=int(sys.argv[1])); "
    "size = int.from_bytes(control.recv(8, socket.MSG_WAITALL), 'big'); "
    "boot = json.loads(control.recv(size, socket.MSG_WAITALL)); sys.path[:] = boot['path']; "
    "from kernel_process_pool.server import main; main(control, boot)"
)


class Launcher(Protocol):
    """Makes workers and tells of their ends."""

    def start(self, number: int, stream: socket.socket, slots: int) -> None:
        """Make worker `number`; it gets this end of its stream, and the descriptor of the slots."""
        ...

    def descriptors(self) -> Sequence[int]:
        """List the descriptors that become readable when there is something to collect; they change with `start`."""
        ...

    def collect(self, fd: int) -> Sequence[Death]:
        """Return the workers whose end this descriptor tells of."""
        ...

    def pid(self, number: int) -> int | None:
        """Return a worker's process, once it is known."""
        ...

    def kill(self, number: int, signum: int) -> None:
        """Send a signal to a worker that lives."""
        ...

    def close(self) -> None:
        """End what is left of the workers, and whatever made them."""
        ...


class ForkLauncher:
    """Forks the runner itself. Quick where everything is loaded already, refused while other threads live."""

    def __init__(self) -> None:
        refuse_unsafe_fork()
        self._pids: dict[int, int] = {}
        self._descriptors: dict[int, int] = {}

    def start(self, number: int, stream: socket.socket, slots: int) -> None:
        """Fork a worker; see `Launcher.start`."""
        refuse_unsafe_fork()
        runner = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        gc.freeze()  # what both share now is left out of the worker's collections, which would copy its pages
        pid = fork()
        if pid == 0:
            _become_worker(number, stream, slots, runner)
        gc.unfreeze()
        stream.close()
        self._pids[number] = pid
        fd = open_process(pid)
        if fd is not None:
            self._descriptors[fd] = number

    def descriptors(self) -> Sequence[int]:
        """See `Launcher.descriptors`."""
        return list(self._descriptors)

    def collect(self, fd: int) -> Sequence[Death]:
        """See `Launcher.collect`."""
        number = self._descriptors[fd]
        pid = self._pids[number]
        code = reap(pid)
        if code is None:
            return ()
        os.close(fd)
        del self._descriptors[fd], self._pids[number]
        return (Death(number, pid, code),)

    def pid(self, number: int) -> int | None:
        """See `Launcher.pid`."""
        return self._pids.get(number)

    def kill(self, number: int, signum: int) -> None:
        """See `Launcher.kill`."""
        if number in self._pids:
            os.kill(self._pids[number], signum)

    def close(self) -> None:
        """See `Launcher.close`."""
        for pid in self._pids.values():
            os.kill(pid, signal.SIGKILL)
            reap(pid, block=True)
        for fd in self._descriptors:
            os.close(fd)
        self._pids.clear()
        self._descriptors.clear()


def _become_worker(number: int, stream: socket.socket, slots: int, runner: int) -> NoReturn:
    """Leave the runner's life behind, in the forked child: its signals, its open streams, its way to end."""
    from kernel_process_pool import child  # noqa: PLC0415 - loaded before the fork by the executor

    signal.set_wakeup_fd(-1)
    for number_ in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number_, signal.SIG_DFL)
    keep = {0, 1, 2, stream.fileno(), slots}
    _close_inherited_streams(keep)
    sys.stdin = Path(os.devnull).open()  # noqa: SIM115 - what the user types is for the runner
    os.dup2(sys.stdin.fileno(), 0)
    child.main(number, stream.detach(), os.dup(slots), runner)


def _close_inherited_streams(keep: set[int]) -> None:
    """Close sockets and pipes of the runner: while a worker holds the other end of one, its end is never seen."""
    try:
        open_now = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
    except OSError:  # no /proc: the streams of other workers are told apart by their pids instead
        return
    for fd in open_now:
        if fd in keep:
            continue
        try:
            if str(Path(f"/proc/self/fd/{fd}").readlink()).startswith(
                ("socket:", "anon_inode:[pidfd]", "anon_inode:[eventpoll]")
            ):
                os.close(fd)
        except OSError:
            continue  # the listing's own descriptor, gone by now


class ServerLauncher:
    """Asks the server process for workers; the server is started with the first."""

    def __init__(self, method: str, modules: Sequence[str]) -> None:
        self._boot: dict[str, Any] = {
            "method": method,
            "modules": list(modules),
            "path": sys.path,
            "runner": os.getpid(),
            "python": [sys.executable, *_flags(), "-P"],
        }
        self._pids: dict[int, int] = {}
        self._asked: set[int] = set()
        self._rest = b""
        ours, theirs = socket.socketpair()
        self._control = ours
        with theirs:
            self._server = subprocess.Popen(
                [*self._boot["python"], "-c", _SERVER, str(theirs.fileno())],
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                process_group=0,  # the terminal's Ctrl-C is for the runner, which tells its workers itself
            )
        boot = json.dumps(self._boot).encode()
        ours.sendall(len(boot).to_bytes(8, "big") + boot)

    def start(self, number: int, stream: socket.socket, slots: int) -> None:
        """Ask for a worker; see `Launcher.start`."""
        try:
            socket.send_fds(self._control, [json.dumps(number).encode() + b"\n"], [stream.fileno(), slots])
            self._asked.add(number)
        except OSError as error:
            raise KernelError("the process that makes workers has ended (was it killed?); run again") from error
        finally:
            stream.close()

    def descriptors(self) -> Sequence[int]:
        """See `Launcher.descriptors`."""
        return [self._control.fileno()] if self._control.fileno() >= 0 else []

    def collect(self, fd: int) -> Sequence[Death]:
        """See `Launcher.collect`; the end of the server is the end of all its workers."""
        try:
            data = self._control.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._control.close()
            deaths = [Death(number, self._pids.get(number, 0), None) for number in sorted(self._asked)]
            self._asked.clear()
            self._pids.clear()
            return deaths
        *lines, self._rest = (self._rest + data).split(b"\n")
        ended: list[Death] = []
        for line in lines:
            kind, number, pid, *code = json.loads(line)
            if kind == "started":
                self._pids[number] = pid
            else:
                self._pids.pop(number, None)
                self._asked.discard(number)
                ended.append(Death(number, pid, code[0]))
        return ended

    def pid(self, number: int) -> int | None:
        """See `Launcher.pid`."""
        return self._pids.get(number)

    def kill(self, number: int, signum: int) -> None:
        """See `Launcher.kill`. The worker may have ended, but its pid is not reused before the server collects it."""
        pid = self._pids.get(number)
        if pid is not None:
            try:
                os.kill(pid, signum)
            except ProcessLookupError:
                return  # collected meanwhile; the news is on its way

    def close(self) -> None:
        """See `Launcher.close`."""
        self._control.close()
        try:
            self._server.wait(10)
        except subprocess.TimeoutExpired:  # stopped or stuck: its workers end with it
            self._server.kill()
            self._server.wait()
        self._pids.clear()


def _flags() -> list[str]:
    """Return the interpreter's own options, so that workers run as the runner does."""
    flags: Callable[[], list[str]] = getattr(subprocess, "_args_from_interpreter_flags")  # noqa: B009 - no public name
    return flags()
