"""What a worker takes over from the runner beside the program: where its log records go, which warnings count."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["send_records", "set_warning_filters"]


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
