"""What holds for every test: no variables of the user's, nothing left behind, and a limit of time (pyproject.toml)."""

from __future__ import annotations

import copyreg
import gc
import multiprocessing
import os
import signal
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest

from watching import LIMIT, is_of_multiprocessing, shared_memory

#: In the environment of every process that this test session starts, however it is started.
SESSION = "TEST_SESSION"
#: Threads that Dask and Ray keep for as long as their user lives; only the processes of their own suites have them.
OF_ENGINES = ("IO loop", "Dask-Offload", "Dummy-")


@pytest.fixture(scope="session", autouse=True)
def no_variables_of_the_users():
    """Take every KERNEL_* variable out of the environment; a test sets those that it is about."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("KERNEL_")]:
            patch.delenv(name)
        patch.setenv(SESSION, str(os.getpid()))
        yield


@pytest.fixture(scope="session", autouse=True)
def signals_are_heard():
    """Ignore no signal, as what a shell starts in the background does: the commands of tests would inherit it."""
    for name, usual in (
        ("SIGINT", signal.default_int_handler),
        ("SIGTERM", signal.SIG_DFL),
        ("SIGHUP", signal.SIG_DFL),
    ):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, usual)


@pytest.fixture(scope="module", autouse=True)
def nothing_is_left():
    """Fail the last test of a file when processes, threads or shared memory of any of its tests are still there.

    By file, because some keep workers for all their tests. A test that is about what is left takes `no_leftovers`.
    """
    yield from _watch()


@pytest.fixture(scope="module")
def pickles_of_python():
    """Pickle errors and tracebacks as Python does: Dask, once it is imported, has tblib change that in its process."""
    with pytest.MonkeyPatch.context() as patch:
        for kind, reducer in list(copyreg.dispatch_table.items()):
            if getattr(reducer, "func", reducer).__module__.startswith("tblib"):
                patch.delitem(copyreg.dispatch_table, kind)
        yield


@pytest.fixture
def no_leftovers():
    """Fail the test when a process, thread or piece of shared memory that it made is still there at its end."""
    yield from _watch()


def _watch():
    before = set(_leftovers())
    yield
    until = time.monotonic() + LIMIT
    while left := {what: told for what, told in _leftovers().items() if what not in before}:
        if time.monotonic() > until:
            pytest.fail("left behind:\n" + "\n".join(left.values()))
        gc.collect()
        time.sleep(0.02)


def _leftovers():
    """Say what is there of this session beside this process, by something that tells two of a kind apart."""
    directories = {("directory", str(path)): f"shared memory in {path}" for path in shared_memory()}
    return {**_processes(), **_threads(), **directories}


def _processes():
    """Find children, and processes started by this session whose parents are gone; on Linux only.

    What `multiprocessing` knows of belongs to tests themselves: kernel's workers are not among it.
    """
    here, found = os.getpid(), {}
    known = {process.pid for process in multiprocessing.active_children()}
    for folder in Path("/proc").glob("[0-9]*"):
        pid = int(folder.name)
        if pid == here or pid in known:
            continue
        with suppress(OSError):
            state, parent, *_others = stat = (folder / "stat").read_text().rpartition(")")[2].split()
            environment = _environment(folder)
            command = (folder / "cmdline").read_text("utf-8", "replace").replace("\0", " ")
            is_ours = int(parent) == here or environment.get(SESSION) == str(here)
            if is_ours and not is_of_multiprocessing(pid):
                test = environment.get("PYTEST_CURRENT_TEST", "a test")
                found["process", pid, stat[19]] = f"process {pid} ({state}) of {test}: {command[:200]}"
    return found


def _environment(folder):
    with suppress(OSError):  # that of a process which has ended, but was not waited for, cannot be read
        entries = (folder / "environ").read_text("utf-8", "replace").split("\0")
        return dict(entry.partition("=")[::2] for entry in entries)
    return {}


def _threads():
    """Find threads of Python's, whoever started them: beside one that stays, nothing is forked any more."""
    return {
        ("thread", thread.ident): f"thread {thread.name}"
        for thread in threading.enumerate()
        if not thread.name.startswith(OF_ENGINES)
    }
