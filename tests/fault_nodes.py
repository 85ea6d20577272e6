"""Node functions, values and listeners that fail, or kill their process, at a stated place; imported by workers too."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import kernel
from kernel import hookimpl
from kernel_memory import MemoryCatalog
from kernel_memory.pickles import PickleStore
from watching import LIMIT, is_alive, wait_until


def count(folder, name):
    """Leave one more trace of `name`; return how many there are, this one included. One write, so none is lost."""
    file = os.open(Path(folder) / name, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, b"x")
        return os.lseek(file, 0, os.SEEK_CUR)
    finally:
        os.close(file)


def counted(folder, name):
    """Say how many traces of `name` there are."""
    path = Path(folder) / name
    return path.stat().st_size if path.exists() else 0


# -- ways to end a process --------------------------------------------------------------------------------------------


def crash():
    ctypes.string_at(0)


def close_all():
    """Close every descriptor, the stream to the runner included, and stay."""
    os.closerange(0, 4096)
    time.sleep(LIMIT)


WAYS = {
    "SIGKILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "SIGSEGV": crash,
    "exit code 0": lambda: os._exit(0),
    "closed descriptors": close_all,
}
#: What is told of each.
WORDS = {
    "SIGKILL": "SIGKILL (signal 9, out of memory?)",
    "SIGSEGV": "SIGSEGV (signal 11)",
    "exit code 0": "exit code 0",
    "closed descriptors": "the loss of its connection",
}


def die(way):
    WAYS[way]()
    raise AssertionError(f"alive after {way}")


def dies(way, folder, times):
    """End this process by that way, at the first so many calls; each call leaves a trace of `tried`."""
    if count(folder, "tried") <= times:
        die(way)


# -- values -----------------------------------------------------------------------------------------------------------


class DiesWhenPickled:
    """Ends the process that pickles it, at the first so many times; what arrives is the number 1."""

    def __init__(self, way, folder, times):
        self.given = way, folder, times

    def __reduce__(self):
        dies(*self.given)
        return int, (1,)


class DiesWhenRebuilt:
    """Ends the process that unpickles it, at the first so many times; what arrives is the number 1."""

    def __init__(self, way, folder, times):
        self.given = way, folder, times

    def __reduce__(self):
        return _rebuilt, self.given


def _rebuilt(way, folder, times):
    dies(way, folder, times)
    return 1


class Explodes:
    """Can be pickled, and raises when it is unpickled."""

    def __reduce__(self):
        return int, ("not a number",)


class ExplodesWithoutText:
    """Can be pickled; raises an error without a message when it is unpickled."""

    def __reduce__(self):
        return raises, (ShowsNothing,)


class RefusesToBeRebuilt:
    """Can be pickled; raises when it is unpickled, and shows what it holds wherever it can."""

    def __init__(self, held):
        self.held = held

    def __repr__(self):
        return self.held

    def __reduce__(self):
        return refuse, (self.held,)


def refuse(held):
    raise ValueError("it cannot be made again")


class Deep:
    """Too deep to pickle, and quick to make."""

    def __init__(self, depth=100_000):
        self.inner = None
        value = []
        for _ in range(depth):
            value = [value]
        self.inner = value


class MortalCatalog(MemoryCatalog):
    """Its handles end the process that pickles them: a worker, on its way to tell of its result."""

    def open(self, copy_modes, reach, workers):
        return MortalStore(copy_modes, self._prepared)


class MortalStore(PickleStore):
    def load(self, name, handle, last=False):
        return 1 if isinstance(handle, DiesWhenPickled) else super().load(name, handle, last)

    def save(self, name, data):
        handle = super().save(name, data)
        return DiesWhenPickled(*data) if name == "mortal" else handle


# -- nodes that die, a function for each place ------------------------------------------------------------------------


def die_running(way, folder, times):
    dies(way, folder, times)
    return 1


def die_saving(way, folder, times):
    return DiesWhenPickled(way, folder, times)


def make_deadly_input(way, folder, times):
    return DiesWhenRebuilt(way, folder, times)


def die_reporting(way, folder, times):
    kernel.note("deadly", DiesWhenPickled(way, folder, times))
    return 1


def die_with_handle(way, folder, times):
    return (way, folder, times)


def die_in_a_thread(way, folder, times):
    """Return at once; a thread ends the process some time later, whatever it does by then."""

    def later():
        time.sleep(0.05)
        die(way)

    if count(folder, "tried") <= times:
        threading.Thread(target=later, daemon=True).start()
    return 1


def chain_link(way, folder, times, value):
    dies(way, folder, times)
    return value + 1


class Late:
    """A function that keeps the first process, beside the runner's, which is sent it until it is told `over`.

    Then it breaks there, if it is one that `breaks`.
    """

    __name__ = "late"

    def __init__(self, folder, breaks):
        self.given = folder, breaks

    def __call__(self, value):
        return value

    def __reduce__(self):
        return late, (os.getpid(), *self.given)


def late(runner, folder, breaks):
    if os.getpid() != runner:
        try:
            Path(folder).mkdir()
        except FileExistsError:
            return Late(folder, breaks)
        wait_until((Path(folder) / "over").exists, "the end of the run")
        if breaks:
            raise ValueError("too late")
    return Late(folder, breaks)


class Unready:
    """A function that ends every process but the runner's which is sent it."""

    __name__ = "unready"

    def __call__(self, value):
        return value

    def __reduce__(self):
        return unready, (os.getpid(),)


def unready(runner):
    if os.getpid() != runner:
        die("SIGKILL")
    return Unready()


def same(value, *_):
    return value


def nothing(*_):
    """Take anything, make nothing."""


def add_one(value, *_):
    return value + 1


def total(*values):
    return sum(values)


def nap(seconds, value=1, *_):
    time.sleep(seconds)
    return value


def slow_sum(own, seconds, *values):
    if seconds:
        time.sleep(seconds)
    return (sum(values) + own) % 1_000_003


def pid(*_):
    return os.getpid()


def here(folder, *_):
    """Say where this runs, once two workers have come here."""
    (Path(folder) / str(os.getpid())).touch()
    wait_until(lambda: len(list(Path(folder).iterdir())) >= 2, "another worker")
    return os.getpid()


def kill_other(own, *others):
    """Kill the worker that is not this one while it has nothing to do."""
    for other in {own, *others} - {os.getpid()}:
        os.kill(other, signal.SIGKILL)
        wait_until(lambda other=other: not is_alive(other), "the death of the idle worker")
    return os.getpid()


def spoil(value, *_):
    """Change the value in place, whatever it is, and return it."""
    if isinstance(value, dict):
        value["spoilt"] = value.get("spoilt", 0) + 1
    elif hasattr(value, "iloc"):
        value.iloc[0, 0] += one_more(value.iloc[0, 0])
    elif isinstance(value, set):
        value.add(len(value) + 1_000)
    elif isinstance(value, bytearray | list):
        value.append(value[0])
    else:
        value[0] += one_more(value[0])
    return value


def one_more(item):
    """Return what is added to an item to change it: lists inside of arrays and frames are changed as they lie there."""
    return [1] if isinstance(item, list) else 1


_kept = []


def keep(value):
    """Return a value that this process goes on to know."""
    _kept[:] = [value]
    return value


def spoil_kept(*_):
    """Change what `keep` has kept, where this is the process that did."""
    while _kept:
        spoil(_kept.pop())
    return 0


def modes_in(folder, _):
    """Return the permissions of all in the folder, by path."""
    here = Path(folder)
    return {str(path.relative_to(here)): path.stat().st_mode & 0o777 for path in here.rglob("*")}


def megabytes(size):
    return bytearray(size << 20)


def letters(size, number):
    return bytes([number % 251]) * size


def huge(size):
    import numpy as np

    made = np.zeros(size, np.uint8)
    made[-1] = 7
    return made


def ends_of(array):
    return len(array), int(array[0]), int(array[-1])


def depth_of(depth):
    return 1 + depth_of(depth - 1) if depth > 1 else 1


def kill_self(_):
    die("SIGKILL")


def footprint(_):
    """Say of this process: its number; how many descriptors, mappings and threads it has."""
    time.sleep(0.002)
    maps = len(Path("/proc/self/maps").read_text().splitlines())
    return os.getpid(), (len(os.listdir("/proc/self/fd")), maps, threading.active_count())  # noqa: PTH208 - quick


# -- nodes that fail --------------------------------------------------------------------------------------------------


class NeedsArguments(Exception):
    """Cannot be rebuilt from its message."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class HoldsALock(Exception):
    """Cannot be pickled."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


class BreaksOnLoad(Exception):
    """Can be pickled, and raises when it is unpickled."""

    def __reduce__(self):
        return int, ("not a number",)


class ShowsNothing(Exception):
    """Raises when it is shown."""

    def __str__(self):
        raise RuntimeError("nothing to show")

    __repr__ = __str__


class TooDeep(Exception):
    """Holds a value that is too deep to pickle."""

    def __init__(self, text):
        super().__init__(text)
        self.value = Deep()


class Apart(BaseException):
    """Neither an `Exception` nor one of Python's own."""


def needs_two(_):
    raise NeedsArguments("this", "that")


def out_of_memory(_):
    return bytearray(1 << 62)


def too_deep(depth):
    return too_deep(depth + 1)


def with_hundreds_of_causes(_):
    error = None
    for number in range(400):
        try:
            raise ValueError(f"cause {number} " + "x" * 20_000) from error
        except ValueError as caught:
            error = caught
    raise RuntimeError("the last of many") from error


def raises(kind, text="the text of it"):
    raise kind(text)


RAISED = {
    "NeedsArguments": needs_two,
    "HoldsALock": lambda _: raises(HoldsALock),
    "BreaksOnLoad": lambda _: raises(BreaksOnLoad),
    "ShowsNothing": lambda _: raises(ShowsNothing),
    "TooDeep": lambda _: raises(TooDeep),
    "Apart": lambda _: raises(Apart),
    "SystemExit": lambda _: sys.exit(3),
    "KeyboardInterrupt": lambda _: raises(KeyboardInterrupt),
    "GeneratorExit": lambda _: raises(GeneratorExit),
    "MemoryError": out_of_memory,
    "RecursionError": too_deep,
    "RuntimeError": with_hundreds_of_causes,
}


def raise_it(folder, name):
    count(folder, "ran")
    RAISED[name](0)


def explodes(_):
    return Explodes()


def deep(_):
    return Deep()


def a_lock(_):
    return threading.Lock()


def notes_what_explodes(_):
    kernel.note("explodes", Explodes())
    return 1


def countdown(folder, value, poison):
    if value == poison:
        raise ValueError("the sum is wrong")
    count(folder, "ran")
    return value


# -- listeners, which live in the runner's process unless they are hooks of workers -----------------------------------


class Keeps:
    """Keeps what came of every turn, by node."""

    def __init__(self):
        self.done, self.lost = [], []

    @hookimpl
    def on_task_done(self, node, report, error):
        self.done.append((node.name, report, error))

    @hookimpl
    def on_worker_lost(self, worker, node, error):
        self.lost.append((node.name if node is not None else None, error))


class KillsAfterResult(Keeps):
    """Kills a worker the moment its result is in."""

    def __init__(self, times):
        super().__init__()
        self.left, self.pids = times, {}

    @hookimpl
    def on_task_done(self, node, report):
        pid = report.notes.get("pid")
        if pid is not None and self.left:
            self.left -= 1
            with suppress(ProcessLookupError):  # two results came together, and it died for the first
                os.kill(pid, signal.SIGKILL)


class HearsOfLoads:
    """A listener to datasets: turns are not run quietly where one listens."""

    @hookimpl
    def before_dataset_loaded(self, dataset_name):
        """Take note, of nothing."""


class DiesAtTheEnd:
    """Ends the worker when it is told to stop."""

    @hookimpl
    def before_worker_stop(self):
        die("SIGKILL")


def noted_pid(value, *_):
    kernel.note("pid", os.getpid())
    return value
