"""What a worker takes over from the caller for its nodes: where records and warnings go, and which of them count."""

from __future__ import annotations

import pickle
import threading
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kernel.processes import leave_alone, this_process
from kernel_remote.caller import USUAL_NAMES, level_names

if TYPE_CHECKING:
    import logging

    from kernel_remote.caller import Caller, LoggingState
    from kernel_remote.records import Send

__all__ = ["logger_names", "move_in", "take_over"]


def take_over(caller: Caller, send: Send, known: Collection[str] | None) -> None:
    """Hear and say in this process what the caller would: records and warnings go to `send`.

    `known` are the loggers that there were before the program was loaded: handlers of others are the project's, whose
    own are in the caller's process, and would have each record twice. None: this process is somebody else's, so other
    handlers than the root's stay.
    """
    _set_warning_filters(caller.filters)
    if caller.logging is None:
        return
    from kernel_remote.records import ToRunner, shows_to  # noqa: PLC0415 - it needs `logging`, as callers mostly do

    warnings.showwarning = shows_to(send)
    if known is not None:
        _clear_handlers(known)
    _set_levels(caller.logging)
    _root().handlers[:] = [ToRunner(send)]


def logger_names() -> Collection[str]:
    """List the loggers that there are; in a fork of the caller, those that it has had are nobody's here."""
    return set(_root().manager.loggerDict) if _is_taken() else ()


#: The process that has taken over from a caller before; which loggers have a level because the caller says so.
_taken: list[object] = []
_set: set[str] = set()


def _set_warning_filters(filters: Sequence[bytes]) -> None:
    """Put the caller's filters in force, the first of them first."""
    warnings.resetwarnings()
    for packed in reversed(filters):
        try:
            action, message, category, module, line = pickle.loads(packed)
        except Exception:  # of a category that is not to be had here  # noqa: S112
            continue
        patterns = [
            pattern if isinstance(pattern, str) else pattern.pattern if pattern else "" for pattern in (message, module)
        ]
        warnings.filterwarnings(action, patterns[0], category, patterns[1], line)


def _is_taken() -> bool:
    return bool(_taken) and _taken[0] is this_process.birth


def _root() -> logging.RootLogger:
    import logging  # noqa: PLC0415 - a worker has it once it has a caller that has it

    return logging.root


def _loggers() -> Iterator[tuple[str, logging.Logger]]:
    import logging  # noqa: PLC0415 - as above

    for name, logger in list(logging.root.manager.loggerDict.items()):
        if isinstance(logger, logging.Logger):
            yield name, logger


def _clear_handlers(known: Collection[str]) -> None:
    """Have all records reach the root: the caller's process decides what a logger passes on, and to whom."""
    root = _root()
    if not _is_taken():
        _taken[:] = [this_process.birth]
        leave_alone(*root.handlers)
        root.filters.clear()
        _set.update(name for name, logger in _loggers() if logger.level)
    for name, logger in _loggers():
        if name not in known:
            leave_alone(*logger.handlers)  # a fork's copies: closing them would flush what is the caller's
            logger.handlers.clear()
            logger.filters.clear()
            logger.propagate = True


def _set_levels(state: LoggingState) -> None:
    import logging  # noqa: PLC0415 - as above

    _put_names(state.names or USUAL_NAMES)
    for name in _set - {name for name, _, _ in state.loggers}:
        logging.getLogger(name).setLevel(logging.NOTSET)
        logging.getLogger(name).disabled = False
    _set.clear()
    for name, level, disabled in state.loggers:
        logging.getLogger(name).setLevel(level)
        logging.getLogger(name).disabled = disabled
        _set.add(name)
    logging.root.setLevel(state.level)
    logging.disable(state.disable)


def _put_names(names: tuple[Mapping[int, str], Mapping[str, int]]) -> None:
    import logging  # noqa: PLC0415 - as above

    by_level, by_name = level_names(logging)
    if (by_level, by_name) != names:
        by_level.clear()
        by_level.update(names[0])
        by_name.clear()
        by_name.update(names[1])


#: Who has moved in, the last at the end; and what was there before the first.
_guests: list[_Found] = []
_found: list[_Found] = []
_lock = threading.Lock()


def move_in(caller: Caller, send: Send, known: Collection[str] | None) -> Callable[[], None]:
    """Take over in a process that is somebody else's, and return what undoes it.

    The last to leave puts back what was there. Where others are still in, the one that came last has the records.
    `known` as for `take_over`.
    """
    with _lock:
        if not _guests:
            _found[:] = [_Found()]
        take_over(caller, send, known)
        mine = _Found()
        _guests.append(mine)

    def move_out() -> None:
        with _lock:
            was_last = _guests[-1] is mine
            _guests[:] = [each for each in _guests if each is not mine]
            if was_last:
                (_guests[-1] if _guests else _found[0]).put_back()

    return move_out


class _Found:
    """What a guest changes, as it is now."""

    def __init__(self) -> None:
        import logging  # noqa: PLC0415 - engines' workers have it

        root = logging.root
        self._root = list(root.handlers), root.level, root.manager.disable
        self._levels = {name: (logger.level, logger.disabled) for name, logger in _loggers()}
        by_level, by_name = level_names(logging)
        self._names = dict(by_level), dict(by_name)
        self._warnings: tuple[Any, Any] = list(warnings.filters), warnings.showwarning

    def put_back(self) -> None:
        import logging  # noqa: PLC0415 - as above

        root = logging.root
        root.handlers[:], level, disable = self._root
        root.setLevel(level)
        for name, logger in _loggers():
            kept = (logging.NOTSET, False) if name in _set else (logger.level, logger.disabled)
            level, logger.disabled = self._levels.get(name, kept)
            logger.setLevel(level)
        _put_names(self._names)
        logging.disable(disable)
        warnings.resetwarnings()
        found: Any = warnings.filters
        found[:], warnings.showwarning = self._warnings
