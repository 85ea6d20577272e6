"""Logs of a command: on stderr, one record a line, quiet unless asked."""

from __future__ import annotations

import logging
import sys

from kernel.cli.lines import escaped

__all__ = ["set_up_logging"]

_OWN = "kernel"


class _Formatter(logging.Formatter):
    """Escapes control characters; the kernel's own records stay on one line, others may have several."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's own name
        """Format the line, without the traceback that may follow it."""
        if record.name.partition(".")[0] == _OWN:
            record.message = escaped(record.message)
        else:
            record.message = escaped(record.message, keep="\n\t").replace("\n", "\n  | ")
        return super().formatMessage(record)


def set_up_logging(level: str) -> None:
    """Log from this level on; workers take it over. Logging that was set up before is kept as it is."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s", "%H:%M:%S"))
    logging.basicConfig(level=level.upper(), handlers=[handler])
