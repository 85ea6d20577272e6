"""Functions, datasets and listeners that workers import by name; for the tests of the parallel runner."""

from __future__ import annotations

import json
import os
import pickle
import threading
from pathlib import Path

from kernel import Dataset, hookimpl, note
from kernel.errors import DatasetError
from watching import is_of_multiprocessing, started_by, wait_until


def append(path, **record):
    """Add a line to a file; one write, so that lines of several processes never mix."""
    line = json.dumps(record).encode() + b"\n"
    fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(fd, line)
    finally:
        os.close(fd)


def records(path):
    return [json.loads(line) for line in Path(path).read_text().splitlines()] if Path(path).exists() else []


def children(pid=None):
    """List the pids of the processes that this one, or process `pid`, has started and not collected.

    What `multiprocessing` keeps for tests that use it is left out.
    """
    return [child for child in started_by(pid or os.getpid()) if not is_of_multiprocessing(child)]


# -- functions --------------------------------------------------------------------------------------------------------


def same(value):
    return value


def add(a, b):
    return a + b


def nothing(*values):
    """Take anything, make nothing."""


def pid(*values):
    return os.getpid()


def parent_and_command(*values):
    return os.getppid(), Path("/proc/self/cmdline").read_text()


def boom(*values):
    raise ValueError("boom")


def touch(path, *values):
    Path(path).touch()
    return str(path)


def touch_then(path, awaited):
    """Make a file, then wait for another one."""
    Path(path).touch()
    wait_until(Path(awaited).exists, awaited)
    return os.getpid()


def append_one(values):
    values.append(1)
    return len(values)


def fill_with_nines(array):
    array[:] = 9
    return int(array.sum())


def a_lock(*values):
    return threading.Lock()


def die(*values):
    os.kill(os.getpid(), 9)


def die_once(path, *values):
    """Die at the first call; `path` remembers it."""
    if not Path(path).exists():
        Path(path).touch()
        os.kill(os.getpid(), 9)
    return os.getpid()


class NeedsTwo(Exception):
    """Its pickle cannot be rebuilt: BaseException's own would call it with one argument."""

    def __init__(self, first, second):
        super().__init__(f"{first} and {second}")


class HoldsALock(Exception):
    def __init__(self):
        super().__init__("with a lock inside")
        self.lock = threading.Lock()


class NoText(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def raise_needs_two(*values):
    raise NeedsTwo("this", "that")


def raise_lock(*values):
    raise HoldsALock


def raise_no_text(*values):
    raise NoText


def raise_exit(*values):
    raise SystemExit(7)


def chunks_of(count):
    yield from range(1, count + 1)


def pairs_of(count):
    for number in range(1, count + 1):
        yield number, -number


def keyed_of(count):
    for number in range(1, count + 1):
        yield {"up": number, "down": -number}


def breaks_after(count):
    yield from range(1, count + 1)
    raise ValueError("the body broke")


def uneven(count):
    yield 1, 2
    yield 1, 2, 3


def returns_an_iterator(count):
    return [*range(count)]


def noted(value):
    note("pid", os.getpid())
    note("value", value)
    return value


class Callable:
    """Holds what makes it impossible to pickle, under a name that can be imported."""

    __name__ = "locked_callable"

    def __init__(self):
        self.lock = threading.Lock()

    def __call__(self, value):
        return value


class CountsItsArrivals:
    """Writes a line whenever it is rebuilt from a pickle."""

    def __init__(self, path):
        self.path = str(path)

    def __setstate__(self, state):
        self.__dict__.update(state)
        append(self.path, pid=os.getpid())

    def __call__(self, value):
        return value + 1


# -- datasets ---------------------------------------------------------------------------------------------------------


class FileDataset(Dataset):
    """A pickle in a file; tells what is done with it in another file, a line each."""

    def __init__(self, path, log=None, name=""):
        self.path = Path(path)
        self.log = log
        self.name = name

    def load(self):
        self._tell("load")
        if not self.path.exists():
            raise DatasetError(f"there is no {self.path.name}")
        return pickle.loads(self.path.read_bytes())

    def save(self, data):
        self._tell("save")
        draft = self.path.with_suffix(f".{os.getpid()}.{threading.get_ident()}")
        draft.write_bytes(pickle.dumps(data))
        draft.rename(self.path)

    def exists(self):
        return self.path.exists()

    def release(self):
        self._tell("release")

    def _tell(self, what):
        if self.log is not None:
            append(self.log, what=what, name=self.name, pid=os.getpid(), thread=threading.get_ident())


class AppendingDataset(FileDataset):
    def save(self, data):
        before = pickle.loads(self.path.read_bytes()) if self.path.exists() else []
        super().save([*before, data])


class CachingDataset(Dataset):
    """Keeps what it has loaded or saved until it is released; counts how much it caches."""

    def __init__(self, inner):
        self.inner = inner
        self.cache = []

    def load(self):
        if not self.cache:
            self.cache.append(self.inner.load())
        return self.cache[0]

    def save(self, data):
        self.inner.save(data)
        self.cache[:] = [data]

    def exists(self):
        return self.inner.exists()

    def release(self):
        self.cache.clear()
        self.inner.release()


class Folder(Dataset):
    """Lists a folder once and answers from the listing, as partitioned datasets do."""

    def __init__(self, path, refreshes):
        self.path = Path(path)
        self.refreshes = refreshes
        self.listing = None

    def load(self):
        if self.listing is None:
            self.listing = sorted(each.name for each in self.path.iterdir())
        return self.listing

    def save(self, data):
        for name in data:
            (self.path / name).touch()
        if self.refreshes:
            self.listing = None

    def exists(self):
        return True

    def release(self):
        self.listing = None


class SingleProcess(FileDataset):
    single_process = True


class LockedDataset(FileDataset):
    def __init__(self, path):
        super().__init__(path)
        self.lock = threading.Lock()


class OnlyLoads(Dataset):
    """Waits in `load` until as many threads or processes are in it as there should be."""

    def __init__(self, folder, name, others):
        self.folder, self.name, self.others = Path(folder), name, others

    def load(self):
        (self.folder / self.name).touch()
        for other in self.others:
            wait_until((self.folder / other).exists, other)
        return self.name

    def save(self, data):
        self.load()


class Broken(Dataset):
    """Fails where it is told to."""

    def __init__(self, where):
        self.where = where

    def load(self):
        if self.where == "load":
            raise OSError("the disk is gone")
        return 1

    def save(self, data):
        if self.where == "save":
            raise OSError("the disk is full")

    def exists(self):
        return True

    def release(self):
        if self.where == "release":
            raise OSError("the disk is busy")


class Incremental(Dataset):
    """Numbers in a file and a checkpoint beside it; loads what is new since the checkpoint."""

    def __init__(self, folder, log=None, breaks=False):
        self.folder, self.log, self.breaks = Path(folder), log, breaks
        self.loaded = None

    def load(self):
        data = json.loads((self.folder / "data").read_text())
        self.loaded = len(data)
        return data[self._checkpoint() :]

    def save(self, data):
        (self.folder / "data").write_text(json.dumps(data))

    def exists(self):
        return (self.folder / "data").exists()

    def confirm_token(self):
        return self.loaded

    def confirm(self, token):
        if self.breaks:
            raise OSError("the checkpoint cannot be kept")
        if self.log is not None:
            append(self.log, hook="confirm", pid=os.getpid())
        (self.folder / "checkpoint").write_text(str(token))

    def _checkpoint(self):
        path = self.folder / "checkpoint"
        return int(path.read_text()) if path.exists() else 0


# -- listeners --------------------------------------------------------------------------------------------------------


class Recorder:
    """Writes a line for each hook it hears, wherever that is."""

    def __init__(self, path):
        self.path = str(path)

    def tell(self, hook, **more):
        append(self.path, hook=hook, pid=os.getpid(), thread=threading.get_ident(), **more)

    @hookimpl
    def before_pipeline_run(self, run_params):
        self.tell("before_pipeline_run", run_id=run_params["run_id"], asked=run_params.get("asked"))

    @hookimpl
    def after_pipeline_run(self, run_result):
        self.tell("after_pipeline_run", outputs=sorted(run_result))

    @hookimpl
    def on_pipeline_error(self, error):
        self.tell("on_pipeline_error", error=type(error).__name__)

    @hookimpl
    def before_node_run(self, node, is_async, run_id):
        self.tell("before_node_run", node=node.name, is_async=is_async, run_id=run_id)

    @hookimpl
    def after_node_run(self, node, outputs, is_async):
        self.tell("after_node_run", node=node.name, is_async=is_async, outputs=repr(outputs))

    @hookimpl
    def on_node_error(self, node, error, is_async):
        self.tell("on_node_error", node=node.name, error=type(error).__name__, is_async=is_async)

    @hookimpl
    def before_dataset_loaded(self, dataset_name, node):
        self.tell("before_dataset_loaded", node=node.name, dataset=dataset_name)

    @hookimpl
    def after_dataset_loaded(self, dataset_name, data, node):
        self.tell("after_dataset_loaded", node=node.name, dataset=dataset_name, data=repr(data))

    @hookimpl
    def before_dataset_saved(self, dataset_name, data, node):
        self.tell("before_dataset_saved", node=node.name, dataset=dataset_name, data=repr(data))

    @hookimpl
    def after_dataset_saved(self, dataset_name, data, node):
        self.tell("after_dataset_saved", node=node.name, dataset=dataset_name, data=repr(data))

    @hookimpl
    def after_worker_start(self, worker):
        self.tell("after_worker_start", worker=worker)

    @hookimpl
    def before_worker_stop(self, worker):
        self.tell("before_worker_stop", worker=worker)


class Replaces:
    """Answers `before_node_run` with what it was given."""

    def __init__(self, answer):
        self.answer = answer

    @hookimpl
    def before_node_run(self):
        return self.answer


class Breaks:
    """Fails in one hook."""

    def __init__(self, hook):
        self.hook = hook

    def _maybe(self, hook):
        if hook == self.hook:
            raise RuntimeError(f"listener broke in {hook}")

    @hookimpl
    def before_dataset_loaded(self):
        self._maybe("before_dataset_loaded")

    @hookimpl
    def before_node_run(self):
        self._maybe("before_node_run")

    @hookimpl
    def after_node_run(self):
        self._maybe("after_node_run")

    @hookimpl
    def after_dataset_saved(self):
        self._maybe("after_dataset_saved")

    @hookimpl
    def on_node_error(self):
        self._maybe("on_node_error")


class Watches:
    """Keeps, in the runner's process, what is handed out and what comes back."""

    def __init__(self):
        self.submitted, self.done, self.lost = [], [], []

    @hookimpl
    def on_task_submitted(self, node, attempt):
        self.submitted.append((node.name, attempt))

    @hookimpl
    def on_task_done(self, node, report, error):
        self.done.append((node.name, report, error))

    @hookimpl
    def on_worker_lost(self, worker, node, error):
        self.lost.append((worker, node.name if node else None, error))
