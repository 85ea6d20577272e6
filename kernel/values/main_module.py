"""The main module of this process (a script, a notebook, a command), or what stands for it in a worker."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Lock
from typing import Any

from attrs import define

__all__ = ["Main", "as_known", "begin_worker", "by_name", "current", "entered", "stand_in"]


@define(eq=False)
class Main:
    """A main module: `key` says which script it is, in whatever process; `namespace` has its globals.

    `complete` puts there what was sent of it and was not looked at yet.
    """

    key: str
    namespace: dict[str, Any]
    complete: Callable[[], object] = bool

    def has(self, thing: Any, name: str) -> bool:
        """Say whether it has this very object under its qualified name."""
        first, *rest = name.split(".")
        found = self.namespace.get(first)
        for part in rest:
            found = getattr(found, part, None)
        return found is thing


#: What stands for the runner's main module in this thread of a process that serves several, else in all of it.
entered: ContextVar[Main | None] = ContextVar("entered", default=None)
_stand_in: Main | None = None
#: How many runs are under way whose workers know the main module, and how many whose workers do not.
_known = _unknown = 0
_lock = Lock()
_process: tuple[int, str] = (0, "")


def current() -> Main:
    """Return the main module as functions and pickles of this thread are to see it."""
    found = entered.get() or _stand_in
    if found is not None:
        return found
    module = sys.modules["__main__"]
    return Main(_key(getattr(module, "__file__", None)), vars(module))


def _key(file: str | None) -> str:
    """Return the file of a script, which another run of it has as well, or what no other process has."""
    global _process  # noqa: PLW0603 - made when it is first asked for, and anew in a fork
    if file:
        return os.path.abspath(file)  # noqa: PTH100 - pathlib costs a worker's start
    pid = os.getpid()
    if _process[0] != pid:
        _process = (pid, f"{pid}-{os.urandom(8).hex()}")
    return _process[1]


def stand_in(main: Main | None) -> None:
    """Have this process see a runner's main module as its own, in threads that have entered no other; None: its own."""
    global _stand_in  # noqa: PLW0603 - a process has one main module
    _stand_in = main


def begin_worker() -> None:
    """Count the runner alone whose worker this process is: what a fork has inherited was not for it."""
    global _known, _unknown
    _known, _unknown = 1, 0


def by_name() -> bool:
    """Say whether whoever reads what is pickled here finds what the main module defines under its name."""
    return _known > 0 and not _unknown


@contextmanager
def as_known(*, known: bool) -> Generator[None]:
    """Count a run whose workers know the main module, or do not: while one does not, nothing goes by name."""
    global _known, _unknown
    with _lock:
        _known, _unknown = _known + known, _unknown + (not known)
    try:
        yield
    finally:
        with _lock:
            _known, _unknown = _known - known, _unknown - (not known)
