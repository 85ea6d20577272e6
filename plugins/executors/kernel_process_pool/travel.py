"""Makes functions and programs into bytes that a worker can read: by reference where it can import, else by value."""

from __future__ import annotations

import os
import pickle
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from kernel.serialise import by_value
from kernel_process_pool.hidden import home
from kernel_process_pool.threads import cap

__all__ = ["dumps", "obstacle", "parcel"]


def dumps(value: Any, hidden: Sequence[ModuleType] = ()) -> bytes:
    """Pickle by reference; by value what is local, nameless, of the main script or of a `hidden` module.

    Raises whatever stops it.
    """
    try:
        data = pickle.dumps(value, 5)
    except Exception:  # whatever pickle cannot do is tried again with cloudpickle, whose error counts
        data = b"__main__"
    if b"__main__" not in data and not any(module.__name__.encode() in data for module in hidden):
        return data
    with _by_value(hidden):
        return by_value(value)


@contextmanager
def _by_value(hidden: Sequence[ModuleType]) -> Generator[None]:
    """Have cloudpickle take what is in these modules by value."""
    if not hidden:
        yield
        return
    import importlib  # noqa: PLC0415 - with what follows

    cloudpickle: Any = importlib.import_module("cloudpickle")  # it has no types; seldom needed, and slow to load
    users = cloudpickle.list_registry_pickle_by_value()
    ours = [module for module in hidden if module.__name__ not in users]
    for module in ours:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in ours:
            cloudpickle.unregister_pickle_by_value(module)


def obstacle(value: Any, hidden: Sequence[ModuleType] = ()) -> str | None:
    """Say why a value cannot travel; None if it can."""
    try:
        pickle.loads(dumps(value, hidden))  # what can be sent may still not arrive
    except Exception as error:  # whatever stops it is the reason
        reason = f"{type(error).__name__}: {error}"
        place = home(value)
        if any(module.__name__ == place for module in hidden):
            reason += f" (by value, for workers cannot import the module {place!r}: put it into a file on sys.path)"
        return reason
    return None


def parcel(program: bytes, variables: Mapping[str, str]) -> bytes:
    """Wrap a pickled program: the worker that unpickles it first searches modules where this process does, now.

    It also goes to the folder where this process is, and caps the threads of its libraries by `variables`.
    """
    try:
        folder = os.getcwd()  # noqa: PTH109 - it goes into a message as text
    except FileNotFoundError:  # it was deleted
        folder = ""
    return pickle.dumps(_Parcel(program, list(sys.path), folder, dict(variables)), 5)


class _Parcel:
    def __init__(self, *contents: Any) -> None:
        self._contents = contents

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpack, self._contents


def _unpack(program: bytes, path: list[str], folder: str, variables: dict[str, str]) -> Any:
    sys.path[:] = path
    try:
        os.chdir(folder)
    except OSError:
        pass  # there is no such folder any more; the worker stays where it is
    cap(variables)
    return pickle.loads(program)
