"""The caller's process as it is when a run starts: taken by the runner, and put in force by workers.

What depends on the process goes first, for it decides which modules are found; all else once the program is there.
"""

from __future__ import annotations

import os
import pickle
import sys
import warnings
from _locale import LC_ALL, setlocale  # `locale` takes a millisecond to import
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from types import ModuleType
from typing import Any

from attrs import frozen

from kernel_remote.context import ContextState, context_state

__all__ = [
    "USUAL_NAMES",
    "Caller",
    "LoggingState",
    "ProcessState",
    "arrive",
    "level_names",
    "packed_caller",
    "search_path",
    "settle",
    "unpacked_caller",
]


@frozen
class ProcessState:
    """What belongs to a whole process. `authkey` is None where nobody uses `multiprocessing`."""

    path: Sequence[str]
    folder: str
    environ: Mapping[bytes, bytes]
    recursion_limit: int
    locale: str
    authkey: bytes | None
    has_managers: bool


@frozen
class LoggingState:
    """Levels, of the root and of loggers that have their own or are disabled; names of levels that are not usual."""

    level: int
    disable: int
    loggers: Sequence[tuple[str, int, bool]]
    names: tuple[Mapping[int, str], Mapping[str, int]] | None


@frozen
class Caller:
    """What workers see of the caller. `process` is None for workers in a process that is somebody else's.

    `logging` is None where nobody in the caller's process uses it. Each filter of warnings is pickled by itself.
    """

    process: ProcessState | None
    logging: LoggingState | None
    filters: Sequence[bytes]
    context: ContextState | None


def packed_caller(*, process: bool = True) -> bytes:
    """Pickle what `unpacked_caller` makes a `Caller` of: as this process, and the context of the caller, are now."""
    now = _caller_now(process=process)
    last, data = _last[0]
    if now != last:
        data = pickle.dumps(now, 5)
        _last[0] = now, data
    return data


#: What was seen last, with its pickle: most runs of a warm pool see the same.
_last: list[tuple[Caller | None, bytes]] = [(None, b"")]


@lru_cache(maxsize=2)
def unpacked_caller(data: bytes) -> Caller:
    """Make it of what came from the runner's process."""
    caller: Caller = pickle.loads(data)
    return caller


def _caller_now(*, process: bool) -> Caller:
    filters = [packed for each in warnings.filters if (packed := _packed_filter(each)) is not None]
    return Caller(_process_now() if process else None, _logging_now(), filters, context_state())


def _process_now() -> ProcessState:
    try:
        folder = os.getcwd()  # noqa: PTH109 - it goes into a message as text
    except FileNotFoundError:  # it was deleted
        folder = ""
    process = sys.modules.get("multiprocessing.process")
    return ProcessState(
        search_path(),
        folder,
        dict(_variables()),
        sys.getrecursionlimit(),
        setlocale(LC_ALL, None),
        bytes(process.current_process().authkey) if process is not None else None,
        "multiprocessing.managers" in sys.modules,
    )


def search_path() -> list[str]:
    """Return where this process searches modules; Python passes over what is no text, such as a `Path`."""
    folders: Any = sys.path
    return [folder for folder in folders if isinstance(folder, str)]


def _variables() -> dict[bytes, bytes]:
    """Return what is behind `os.environ`: to decode and encode it all takes longer than all else here."""
    found: dict[bytes, bytes] = getattr(os.environ, "_data")  # noqa: B009 - no public name
    return found


def _logging_now() -> LoggingState | None:
    logging = sys.modules.get("logging")
    if logging is None:
        return None
    root = logging.getLogger()
    loggers = [
        (name, logger.level, logger.disabled)
        for name, logger in list(root.manager.loggerDict.items())
        if isinstance(logger, logging.Logger) and (logger.level or logger.disabled)
    ]
    names = level_names(logging)
    unusual = None if names == USUAL_NAMES else (dict(names[0]), dict(names[1]))
    return LoggingState(root.level, root.manager.disable, loggers, unusual)


def level_names(logging: ModuleType) -> tuple[dict[int, str], dict[str, int]]:
    """Return where `logging` has the names of levels, by level and by name; there is no other way to take one back."""
    return getattr(logging, "_levelToName"), getattr(logging, "_nameToLevel")  # noqa: B009 - no public names


_USUAL = {50: "CRITICAL", 40: "ERROR", 30: "WARNING", 20: "INFO", 10: "DEBUG", 0: "NOTSET"}
#: The names of levels as they are at first, by level and by name.
USUAL_NAMES = (_USUAL, {**{name: level for level, name in _USUAL.items()}, "FATAL": 50, "WARN": 30})


@lru_cache(maxsize=512)
def _packed_filter(given: tuple[Any, ...]) -> bytes | None:
    try:
        return pickle.dumps(given, 5)
    except Exception:  # for a category that has no name; nobody else can have it
        return None


# -- in the worker ----------------------------------------------------------------------------------------------------


def arrive(caller: Caller, ours: Iterable[str] | None) -> None:
    """Have this process search modules where the caller does, in its folder and its environment.

    `ours`: variables of these names are not the caller's, and all others are as there. None: others may have set some
    in this process, so that only what a caller has had is taken away.
    """
    state = caller.process
    if state is None:
        return
    sys.path[:] = state.path
    with suppress(OSError):  # there is no such folder any more; the worker stays where it is
        os.chdir(state.folder)
    here = _variables()
    gone = _had if ours is None else here.keys() - {os.fsencode(name) for name in ours}
    for name in gone - state.environ.keys():
        os.environ.pop(os.fsdecode(name), None)
    for name, value in state.environ.items():
        if here.get(name) != value:
            os.environ[os.fsdecode(name)] = os.fsdecode(value)
    _had.clear()
    _had.update(state.environ)


#: The variables that the last caller has had.
_had: set[bytes] = set()


def settle(caller: Caller) -> None:
    """Put in force what else belongs to the process, now that it has loaded what the program needs."""
    state = caller.process
    if state is None:
        return
    with suppress(RecursionError):  # too low for where we are
        sys.setrecursionlimit(state.recursion_limit)
    if setlocale(LC_ALL, None) != state.locale:
        with suppress(ValueError, OSError):  # not on this machine
            setlocale(LC_ALL, state.locale)
    process: Any = sys.modules.get("multiprocessing.process")
    if process is None and state.has_managers:
        from multiprocessing import process  # noqa: PLC0415 - only where its proxies may come as values
    if process is not None and state.authkey is not None:
        process.current_process().authkey = state.authkey
