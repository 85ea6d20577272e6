"""Processes: whether this one made something or was forked off the one that did, and which are gone for certain."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

__all__ = ["Home", "end_if_forked", "is_gone", "leave_alone", "started", "this_process"]


class _Process:
    """What tells this process from those it was forked off."""

    __slots__ = ("birth",)

    def __init__(self) -> None:
        #: Another object in each process that Python forks; pids are used again, also among one's own descendants.
        self.birth = object()


this_process = _Process()
_left_alone: list[object] = []


class Home:
    """The process that made this.

    A fork copies objects into a child that owns none of the processes, streams, folders and memory they stand for:
    there, `is_here` is False.
    """

    __slots__ = ("_birth", "_pid")

    def __init__(self) -> None:
        self._birth, self._pid = this_process.birth, os.getpid()

    @property
    def is_here(self) -> bool:
        """Whether this is that process. Children that C code forked are told by their pid alone."""
        return self._birth is this_process.birth and self._pid == os.getpid()


def leave_alone(*inherited: object) -> None:
    """Keep what this process has inherited and does not own, so that it is never finalised here."""
    _left_alone.extend(inherited)


def end_if_forked(birth: object, error: BaseException | None = None) -> None:
    """End this process if it was forked off since `birth`, in a node's function, and has come to the function's end.

    `birth` is that of `this_process` from before; `error` is what the function raised. The turn belongs to the process
    that this one was forked off. It ends as a program would that comes to its end or lets this error through, but
    without exit handlers: those were inherited and are not its own.
    """
    if this_process.birth is not birth:
        _end_child(error)


def _end_child(error: BaseException | None) -> NoReturn:
    code = 0
    try:
        if isinstance(error, SystemExit):
            code = _exit_code(error.code)
        elif error is not None:
            import traceback  # noqa: PLC0415 - seldom needed

            code = 1
            traceback.print_exception(error)
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
    finally:
        os._exit(code)


def _exit_code(code: object) -> int:
    """Return what a program ends with that calls `sys.exit` with this."""
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    if sys.stderr is not None:
        sys.stderr.write(f"{code}\n")
    return 1


def started(pid: int) -> int:
    """Return when a process started, in ticks since the boot; 0 where the system does not say."""
    return _look_up(pid)[1]


def is_gone(pid: int, since: int = 0) -> bool:
    """Say whether a process has ended for certain, collected or not; in doubt it lives.

    `since` is what `started` said of it, if it is known: by now another process may have its pid.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # there is one, of another user
    ended = _has_ended(pid)
    if ended is not None and (ended or not since):
        return ended
    has_left, now = _look_up(pid)
    return (ended is None and has_left) or bool(since and now and now != since)


def _has_ended(pid: int) -> bool | None:
    """Ask the system for a process by its descriptor; None where that cannot be had, or there is none to spare."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    except (AttributeError, OSError):
        return None
    import select  # noqa: PLC0415 - for those who ask, and not for every process

    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(0))
    finally:
        os.close(fd)


def _look_up(pid: int) -> tuple[bool, int]:
    """Return whether a process has ended but was not collected, and when it started, as /proc tells, if it does."""
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123 - pathlib takes longer than the rest
            facts = file.read().rpartition(b") ")[2].split()
        # Of a process whose first thread has ended, others may go on.
        return facts[0] in {b"Z", b"X"} and int(facts[17]) <= 1, int(facts[19])
    except (OSError, IndexError, ValueError):
        return False, 0


def _note_birth() -> None:
    this_process.birth = object()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_birth)
