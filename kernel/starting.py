"""Runs that start where none may: in a worker that imports its modules, in a program that should have been Python.

Each would make workers that start it again, without end.
"""

from __future__ import annotations

import os
import pickle
import sys
from contextvars import ContextVar
from typing import Any

from kernel.errors import ConfigError
from kernel.processes import end_if_forked, this_process

__all__ = ["STARTING", "load", "refuse_endless_starts"]

#: In the environment of an interpreter that was started to make workers, until it runs our code: a program that finds
#: it there was started in the interpreter's place.
STARTING = "KERNEL_STARTING"
#: Whether a worker takes up a program just now, and may import the user's modules for it.
_is_loading: ContextVar[bool] = ContextVar("is_loading", default=False)


def load(pickled: bytes) -> Any:
    """Unpickle what a runner sent to this worker; a module of the user's that starts a run meanwhile is refused.

    A child that a module forks off meanwhile ends where this comes to its end, and never goes on as a second worker.
    """
    token, birth = _is_loading.set(True), this_process.birth
    try:
        loaded = pickle.loads(pickled)
    except BaseException as error:
        end_if_forked(birth, error)
        raise
    finally:
        _is_loading.reset(token)
    end_if_forked(birth)
    return loaded


def refuse_endless_starts() -> None:
    """Raise ConfigError where no run may start."""
    if _is_loading.get():
        raise ConfigError(
            f"{_imported()} starts a run while a worker imports it: put the run into a function, or below "
            "`if __name__ == '__main__':`"
        )
    if STARTING in os.environ:
        raise ConfigError(
            f"this program was started to make workers, as a Python interpreter with the option -c, and started a run "
            f"instead: {sys.executable} is not one. Use the start method 'fork', or the executor 'threads'"
        )


def _imported() -> str:
    """Name the module whose code, at its top level, has called us."""
    import traceback  # noqa: PLC0415 - only for an error

    for frame, _ in traceback.walk_stack(None):
        if frame.f_code.co_name == "<module>":
            return f"the module {frame.f_globals.get('__name__')!r}"
    return "a module"
