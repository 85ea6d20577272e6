"""Node functions of the kit: in a module of their own, so that workers of any kind can import them."""

from __future__ import annotations

import gc
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import kernel

__all__ = [
    "LOGGER",
    "Ashore",
    "BreaksOnLoad",
    "HoldsALock",
    "NeedsArguments",
    "add",
    "change",
    "change_and_fail_once",
    "chunks",
    "constant",
    "count",
    "countdown",
    "die",
    "die_once",
    "fail",
    "fail_with_a_cause",
    "filled",
    "interrupt_runner",
    "kind",
    "log",
    "nap",
    "noted",
    "nothing",
    "pair",
    "pass_on",
    "pass_on_counted",
    "pid",
    "raise_named",
    "read_second",
    "same_object_again",
    "total",
    "unpicklable",
    "wait_for",
]

#: The name under which `log` says something.
LOGGER = "kernel.testing.said"

#: A gate that nobody opens is given up after this (seconds).
_PATIENCE_S = 30.0


def constant() -> int:
    """Return 1."""
    return 1


def add(*numbers: int) -> int:
    """Return the sum of all, and 1."""
    return sum(numbers) + 1


def pass_on(value: Any) -> Any:
    """Return the value as it came."""
    return value


def nothing(*_values: Any) -> None:
    """Return nothing, for a node without outputs."""


def pair(value: Any) -> tuple[Any, Any]:
    """Return a value and its kind's name."""
    return value, type(value).__name__


def kind(value: Any) -> str:
    """Return the name of the value's type."""
    return type(value).__name__


def pid(*_values: Any) -> int:
    """Return the number of the process that runs this."""
    return os.getpid()


def noted(value: Any) -> Any:
    """Pass the value on, and say so in the report."""
    kernel.note("said by the node", repr(value))
    return value


# -- in-place changes ---------------------------------------------------------------------------------------------


def change(value: Any, *_before: Any) -> int:
    """Change the value in place, whatever it is; return something for others to wait for."""
    if isinstance(value, dict):
        value["changed"] = -1
    elif hasattr(value, "iloc"):
        value.iloc[0, 0].append(99)
    elif hasattr(value, "flags") and not value.flags.writeable:
        raise AssertionError("the value cannot be changed")
    elif getattr(getattr(value, "dtype", None), "hasobject", False):
        value[0].append(99)
    else:
        value[0] = 99
    return 0


def read_second(value: Any, *_before: Any) -> Any:
    """Return the value as this reader sees it, once the others it waits for are done."""
    return value


_kept: dict[str, list[int]] = {}


def same_object_again(key: str, *_before: Any) -> list[int]:
    """Return one and the same list in each call of a process: what a cached function does."""
    return _kept.setdefault(key, [1, 2, 3])


# -- traces in files, to see from outside what ran ----------------------------------------------------------------


def count(folder: str, name: str) -> int:
    """Leave one more trace that `name` ran; return how many there are."""
    with (Path(folder) / name).open("ab") as file:
        file.write(b"x")
        return file.tell()


def pass_on_counted(folder: str, value: Any) -> Any:
    """Count in the file `ran`; return the value."""
    count(folder, "ran")
    return value


def wait_for(folder: str, mine: str = "mine", gate: str = "gate") -> str:
    """Say that this node started, and wait for a file that lets it go on."""
    count(folder, mine)
    until = time.monotonic() + _PATIENCE_S
    while not (Path(folder) / gate).exists():
        if time.monotonic() > until:
            raise TimeoutError(f"nobody opened {gate!r}")
        time.sleep(0.005)
    return mine


def nap(folder: str, seconds: float = _PATIENCE_S) -> None:
    """Say that this node started, and sleep."""
    count(folder, "napping")
    time.sleep(seconds)


# -- failures -----------------------------------------------------------------------------------------------------


class NeedsArguments(Exception):  # noqa: N818 - named for what is the matter with it
    """Cannot be rebuilt from its message."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(f"{first} and {second}")


class HoldsALock(Exception):  # noqa: N818 - as above
    """Cannot be pickled."""

    def __init__(self, text: str = "it holds a lock") -> None:
        super().__init__(text)
        self.lock = threading.Lock()


class BreaksOnLoad(Exception):  # noqa: N818 - as above
    """Can be pickled, and cannot be unpickled."""

    def __reduce__(self) -> Any:
        return int, ("not a number",)


class Ashore(BaseException):
    """Neither an `Exception` nor one of Python's own."""


def raise_named(folder: str, name: str) -> NoReturn:
    """Count, and raise the named kind of exception."""
    count(folder, "raised")
    if name == "NeedsArguments":
        raise NeedsArguments("this", "that")
    if name == "RecursionError":
        gc.collect()  # garbage that is collected down there, where nothing can be called, complains aloud
        raise_named_deeply(0)
    kinds: dict[str, type[BaseException]] = {
        "HoldsALock": HoldsALock,
        "BreaksOnLoad": BreaksOnLoad,
        "Ashore": Ashore,
        "SystemExit": SystemExit,
        "KeyboardInterrupt": KeyboardInterrupt,
        "MemoryError": MemoryError,
        "StopIteration": StopIteration,
    }
    raise kinds[name]("the text of it")


def raise_named_deeply(depth: int) -> NoReturn:
    """Call itself until Python gives up."""
    raise_named_deeply(depth + 1)


def fail(*_values: Any) -> NoReturn:
    """Raise a ValueError."""
    raise ValueError("the sum is wrong")


def fail_with_a_cause(*_values: Any) -> NoReturn:
    """Raise an error that came of another."""
    try:
        fail()
    except ValueError as error:
        raise RuntimeError("no result") from error


def countdown(folder: str, value: int, poison: int) -> int:
    """Count; fail for one of the values."""
    if value == poison:
        raise ValueError("the sum is wrong")
    count(folder, "ran")
    return value


def change_and_fail_once(folder: str, values: list[int]) -> list[int]:
    """Change the list in place and fail when called first; return it as it came when called again."""
    seen = list(values)
    values[0] = 99
    if count(folder, "tried") == 1:
        raise ValueError("the first try")
    return seen


def unpicklable() -> Any:
    """Return what cannot leave its process."""
    return threading.Lock()


def chunks(number: int) -> Iterator[int]:
    """Yield that many numbers, the last of them `number`."""
    yield from range(1, number + 1)


# -- losses and signals -------------------------------------------------------------------------------------------


def die(folder: str, *_values: Any) -> None:
    """Count, and kill the process that runs this."""
    count(folder, "died")
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(folder: str, value: int) -> int:
    """Kill the process that runs this when called first; return the value and 1 when called again."""
    if count(folder, "died") == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return value + 1


def interrupt_runner(folder: str, runner: int) -> None:
    """Send Ctrl-C's signal to the runner's process, and wait to be let go."""
    os.kill(runner, signal.SIGINT)
    wait_for(folder, "interrupting")


def filled(size: int, number: int) -> bytes:
    """Return so many bytes of this value."""
    return bytes([number]) * size


def total(*values: bytes) -> int:
    """Add all bytes up."""
    return sum(map(sum, values))


def log(text: str) -> str:
    """Say something in the log."""
    logging.getLogger(LOGGER).info(text)
    return text
