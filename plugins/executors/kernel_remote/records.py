"""Log records and warnings of workers on their way to the caller, whose handlers and hooks deal with them."""

from __future__ import annotations

import logging
import pickle
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, TextIO

from kernel.processes import this_process
from kernel.specs.events import Log, Warned

__all__ = ["ToRunner", "Word", "heard", "shows_to"]

#: A record, as its plain attributes and the pickles of others; or a warning, as the arguments of its function.
Word = tuple[Any, ...]
Send = Callable[[Word], None]

_PLAIN = frozenset({str, int, float, bool, type(None)})


class ToRunner(logging.Handler):
    """Sends each record of this process to the runner; a child that a node forks off says for itself what it has.

    Whoever sends has a lock of its own, so there is none here that a signal could leave locked.
    """

    def __init__(self, send: Send) -> None:
        super().__init__()
        self._send = send
        self._birth = this_process.birth

    def handle(self, record: logging.LogRecord) -> bool:
        """Send a record; what is wrong with it fails nobody, and is told as `logging` tells it."""
        if this_process.birth is not self._birth:
            if logging.lastResort is not None and record.levelno >= logging.lastResort.level:
                logging.lastResort.handle(record)
            return True
        self._send(self._packed(record))
        return True

    def _packed(self, record: logging.LogRecord) -> Word:
        message, args = record.msg, record.args
        try:
            # Nothing is called for most records: what the handler of a signal raises in a call is no wrong format.
            if type(message) is not str or type(record) is not logging.LogRecord:
                message = record.getMessage()
            elif args:
                message %= args
        except Exception:  # a wrong format: the record goes as it is
            self.handleError(record)
            message = _text((record.msg, args))
        if record.exc_info and not record.exc_text:
            try:
                record.exc_text = logging.Formatter().formatException(record.exc_info)
            except Exception:  # an error that cannot say what it is
                self.handleError(record)
        plain: dict[str, Any] = {}
        packed: dict[str, bytes] = {}
        for key, value in {**record.__dict__, "msg": message, "args": None, "exc_info": None}.items():
            if type(value) in _PLAIN:
                plain[key] = value
                continue
            try:
                packed[key] = pickle.dumps(value, 5)
            except Exception:  # a connection, a request: what is left of it is what it says
                plain[key] = _text(value)
        return "record", plain, packed


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def shows_to(send: Send) -> Callable[..., None]:
    """Make what stands in the place of `warnings.showwarning` in a worker."""
    birth = this_process.birth

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        if file is None and this_process.birth is birth:
            send(("warning", _pickled(message, category), _text(message), filename, lineno, line))
        else:
            _show_at_home(message, category, filename, lineno, file, line)

    return show


_show_at_home: Callable[..., None] = getattr(warnings, "_showwarning_orig")  # noqa: B009 - no public name


def _pickled(message: Warning | str, category: type[Warning]) -> bytes:
    try:
        return pickle.dumps((message, category), 5)
    except Exception:  # then its text goes, and the nearest kind of warning that has a name
        kind = next(each for each in category.__mro__ if each.__module__ == "builtins")
        return pickle.dumps((kind(_text(message)), kind), 5)


# -- in the caller's process ------------------------------------------------------------------------------------------


def heard(worker: int, word: Word) -> Log | Warned:
    """Make an event of what a worker has sent."""
    kind, *rest = word
    if kind == "warning":
        return Warned(worker, partial(_show, *rest))
    plain, packed = rest
    for key, data in packed.items():
        try:
            plain[key] = pickle.loads(data)
        except Exception as error:  # of a class that only the worker has
            plain[key] = f"<cannot be rebuilt: {type(error).__name__}>"
    return Log(worker, plain)


def _show(packed: bytes, text: str, filename: str, lineno: int, line: str | None) -> None:
    try:
        message, category = pickle.loads(packed)
    except Exception:  # of a class that only the worker has
        message, category = UserWarning(text), UserWarning
    if _is_new(text, category, filename, lineno):
        warnings.showwarning(message, category, filename, lineno, None, line)


#: What was shown since the filters were last changed, and the filters of then: each worker counts for itself.
_shown: set[tuple[Any, ...]] = set()
_filters: list[Any] = [None, ()]


def _is_new(text: str, category: type[Warning], filename: str, lineno: int) -> bool:
    """Say whether a warning is to be shown: several workers may each be the first to meet one that is shown once."""
    now: Any = warnings.filters
    if _filters[0] is not now or _filters[1] != tuple(now):
        _filters[:] = now, tuple(now)
        _shown.clear()
    action = next(
        (each[0] for each in now if issubclass(category, each[2]) and (each[1] is None or each[1].match(text))),
        "default",
    )
    if action not in {"default", "module", "once"}:
        return True
    key = (text, category, filename, lineno)
    is_new = key not in _shown
    _shown.add(key)
    return is_new
