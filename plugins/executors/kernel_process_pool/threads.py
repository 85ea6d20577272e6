"""Keeps the threads of libraries from taking more cores together than there are: BLAS, OpenMP, Arrow and others.

A library that is not loaded yet reads a variable when it is; one that is loaded already (in a fork of a process that
has it) is told by a call of its own. What the user has set is left alone.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrs import frozen

from kernel.sizing import usable_cpus

__all__ = ["cap", "unset", "variables_for"]

_OPENMP = "OMP_NUM_THREADS"
#: Variables of libraries that do as the one of OpenMP says where their own is not set. Arrow has none of its own.
_FOLLOW_OPENMP = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS")
_OTHERS = ("VECLIB_MAXIMUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS")


def variables_for(count: int | None, workers: int) -> dict[str, str]:
    """Return the variables to set so that libraries use `count` threads in each worker; what the user set is left out.

    None: as many as give each of so many workers its share of the CPUs, at least 1. 0: all is left alone.
    """
    if count is None:
        count = max(1, usable_cpus() // workers)
    if count == 0:
        return {}
    return dict.fromkeys(unset(), str(count))


def unset() -> tuple[str, ...]:
    """Name the variables that are ours to set, for the user has set neither them nor one that they follow."""
    names = _OTHERS if _OPENMP in os.environ else (_OPENMP, *_FOLLOW_OPENMP, *_OTHERS)
    return tuple(name for name in names if name not in os.environ)


def cap(wanted: Mapping[str, str]) -> None:
    """Put such variables in force in this process, in libraries that it has loaded as well."""
    ours = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    for library in _loaded(os.getpid(), len(sys.modules)):
        count = wanted.get(library.variable)
        # What a former run had allowed may be raised again; what somebody else has lowered may not.
        if count is not None and ((now := library.get()) > int(count) or str(now) == ours[library.variable]):
            library.set(int(count))


@frozen
class _Library:
    """Something loaded that has threads: how it is called, by which variable it goes, how to ask and tell it."""

    name: str
    variable: str
    get: Callable[[], int]
    set: Callable[[int], Any]


@lru_cache(maxsize=1)
def _loaded(_process: int, _modules: int) -> list[_Library]:
    """Find what has threads; again only where more was imported, for what is loaded otherwise reads the variables."""
    return [*_loaded_objects(), *_loaded_modules()]


#: Part of the file's name, variable, and the pairs of functions that ask and set, of which a build has one.
_OBJECTS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    (
        "openblas",
        "OPENBLAS_NUM_THREADS",
        tuple(
            (f"{prefix}openblas_get_num_threads{suffix}", f"{prefix}openblas_set_num_threads{suffix}")
            for prefix in ("", "scipy_")
            for suffix in ("", "64_", "_64", "_64_")
        ),
    ),
    ("libmkl_rt", "MKL_NUM_THREADS", (("MKL_Get_Max_Threads", "MKL_Set_Num_Threads"),)),
    ("libblis", "BLIS_NUM_THREADS", (("bli_thread_get_num_threads", "bli_thread_set_num_threads"),)),
    *((part, _OPENMP, (("omp_get_max_threads", "omp_set_num_threads"),)) for part in ("libgomp", "libomp", "libiomp5")),
)


def _loaded_objects() -> list[_Library]:
    """Find the shared objects in this process that have threads; none where the system does not list them."""
    try:
        lines = Path("/proc/self/maps").read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    names = {path: path.rpartition("/")[2] for line in lines if ".so" in line for path in line.split(maxsplit=5)[5:]}
    return [
        library
        for path, name in sorted(names.items())
        for part, variable, functions in _OBJECTS
        if part in name
        for library in _controls(path, variable, functions)
    ]


def _controls(path: str, variable: str, functions: tuple[tuple[str, str], ...]) -> list[_Library]:
    try:
        loaded = ctypes.CDLL(path, mode=os.RTLD_NOLOAD | os.RTLD_LAZY)
    except OSError:  # its file has been replaced meanwhile
        return []
    return [
        _Library(path, variable, getattr(loaded, get), getattr(loaded, set_))
        for get, set_ in functions
        if hasattr(loaded, get) and hasattr(loaded, set_)
    ][:1]


#: Modules that have threads of their own: variable, and the functions that ask and set.
_MODULES = (
    ("pyarrow", _OPENMP, "cpu_count", "set_cpu_count"),
    ("torch", _OPENMP, "get_num_threads", "set_num_threads"),
    ("numexpr", "NUMEXPR_NUM_THREADS", "get_num_threads", "set_num_threads"),
    ("numba", "NUMBA_NUM_THREADS", "get_num_threads", "set_num_threads"),
)


def _loaded_modules() -> list[_Library]:
    found: list[_Library] = []
    for name, variable, get, set_ in _MODULES:
        module = sys.modules.get(name)
        if hasattr(module, get) and hasattr(module, set_):
            found.append(_Library(name, variable, getattr(module, get), getattr(module, set_)))
    return found
