"""What a worker takes over from the runner beside the program: where its log records go, which warnings count."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["move_in", "send_records", "set_warning_filters"]


def set_warning_filters(filters: Sequence[Any]) -> None:
    """Put the runner's filters in force, the first of them first."""
    warnings.resetwarnings()
    for action, message, category, module, line in reversed(filters):
        patterns = [
            pattern if isinstance(pattern, str) else pattern.pattern if pattern else "" for pattern in (message, module)
        ]
        warnings.filterwarnings(action, patterns[0], category, patterns[1], line)


def send_records(level: int | None, send: Callable[[dict[str, Any]], None]) -> None:
    """Send every record to the runner, which hands it to the handlers that the user set up there."""
    if level is None:
        return
    import logging  # noqa: PLC0415 - only where the runner uses it

    class ToRunner(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.exc_info:
                record.exc_text = logging.Formatter().formatException(record.exc_info)
            plain = {
                **record.__dict__,
                "msg": record.getMessage(),
                "args": None,
                "exc_info": None,
                "stack_info": record.stack_info,
            }
            send({key: value for key, value in plain.items() if isinstance(value, str | int | float | type(None))})

    root = logging.getLogger()
    root.handlers[:] = [ToRunner()]
    root.setLevel(level)


#: Who has moved in, the last at the end; and what was there before the first: handlers and level, warning filters.
_guests: list[list[Any]] = []
_found: list[Any] = []
_lock = threading.Lock()


def move_in(level: int | None, send: Callable[[dict[str, Any]], None], filters: Sequence[Any]) -> Callable[[], None]:
    """Do both in a process that is somebody else's. Return what undoes it: the last to leave puts back what was there.

    Where others are still in, the one that came last has the records.
    """
    with _lock:
        if not _guests:
            _found[:] = _state()
        send_records(level, send)
        set_warning_filters(filters)
        mine = _state()
        _guests.append(mine)

    def move_out() -> None:
        with _lock:
            was_last = _guests[-1] is mine
            _guests[:] = [each for each in _guests if each is not mine]
            if was_last:
                _put_back(_guests[-1] if _guests else _found)

    return move_out


def _state() -> list[Any]:
    import logging  # noqa: PLC0415 - engines' workers have it

    root = logging.getLogger()
    return [list(root.handlers), root.level, list(warnings.filters)]


def _put_back(state: Sequence[Any]) -> None:
    import logging  # noqa: PLC0415 - as above

    root = logging.getLogger()
    root.handlers[:], level, filters = state
    root.setLevel(level)
    warnings.resetwarnings()
    found: Any = warnings.filters
    found[:] = filters
