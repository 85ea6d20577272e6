"""Which way workers are made: by `fork`, `spawn` or `forkserver`, as an option, a variable or the platform says."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

from kernel.errors import ConfigError

__all__ = ["METHODS", "VARIABLE", "choose_method", "refuse_unsafe_fork"]

METHODS = ("fork", "spawn", "forkserver")
#: The environment variable that chooses where no option does.
VARIABLE = "KERNEL_MP_CONTEXT"
#: Workers come from a clean process that has loaded the libraries of the project: quick, and safe beside threads.
DEFAULT = "forkserver"


#: Libraries whose pools of threads are dead in a fork of a process that has used them: tried with the releases of 2026,
#: each used, forked, and used again. numpy, pyarrow, duckdb, OpenCV, catboost, h5py and others start theirs anew.
_DEAD_AFTER_FORK = (
    "polars",
    "lightgbm",
    "xgboost",
    "sklearn",
    "numba",
    "faiss",
    "jax",
    "datafusion",
    "rustworkx",
    "rasterio",
    "tbb",
    "zmq",
    "grpc",
)


def choose_method(option: str | None) -> str:
    """Return the start method; ConfigError for an unknown option, a warning for an unknown variable."""
    if sys.platform == "win32":
        raise ConfigError("the executor 'process_pool' needs a POSIX system; use 'threads' on this one")
    good = ", ".join(METHODS)
    if option is not None:
        if option not in METHODS:
            raise ConfigError(f"unknown start method {option!r}; it should be one of {good}")
        return option
    named = os.environ.get(VARIABLE, "")
    if not named:
        return DEFAULT
    if named not in METHODS:
        warnings.warn(
            f"{VARIABLE}={named!r} is not a start method and is ignored; it should be one of {good}",
            RuntimeWarning,
            stacklevel=2,
        )
        return DEFAULT
    return named


def refuse_unsafe_fork() -> None:
    """Raise ConfigError while other Python threads live: a lock that one holds would stay locked in the worker."""
    import threading  # noqa: PLC0415 - it is there already wherever there are threads

    others = [thread.name for thread in threading.enumerate() if thread is not threading.current_thread()]
    if others:
        raise ConfigError(
            f"workers cannot be started by fork while other threads run ({', '.join(others)}): a lock that one of them "
            f"holds would never be released in the worker. Use the start method 'forkserver' or 'spawn'"
        )
    native = _native_threads() - 1
    if native <= 0:
        return
    dangerous = [name for name in _DEAD_AFTER_FORK if name in sys.modules]
    if dangerous:
        warnings.warn(
            f"workers are started by fork beside {native} threads of libraries ({', '.join(dangerous)} among them): "
            f"once used here, they may wait for ever in a worker. Use the start method 'spawn' or 'forkserver'",
            RuntimeWarning,
            stacklevel=1,  # said once, however often servers are made
        )
        return
    import logging  # noqa: PLC0415 - seldom needed

    logging.getLogger("kernel").info("Workers are started by fork beside %d threads of libraries.", native)


def _native_threads() -> int:
    try:
        return len(list(Path("/proc/self/task").iterdir()))
    except OSError:  # no /proc here: what cannot be counted cannot be told
        return 1
