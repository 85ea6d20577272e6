"""The connection of this process to Ray, of which there can be one: made when it is first needed, ended by the last."""

from __future__ import annotations

import inspect
import os
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager, nullcontext
from difflib import get_close_matches
from typing import Any

from attrs import define

from kernel.errors import ConfigError, KernelError
from kernel_ray.library import ray, same_environment

__all__ = ["check_settings", "connect", "disconnect"]

#: The most memory (bytes) that a local instance takes for values; what finds no room there is written to its folder.
_MOST_MEMORY = 2 << 30
#: Ray's sockets lie deep in its folder, and their names have to fit into 107 bytes.
_LONGEST_FOLDER = 30
_REACH_S = 5.0


@define(eq=False)
class _Ours:
    """A connection that was made here: what was asked for, how many use it, the folder of a local instance."""

    address: str | None
    settings: Mapping[str, Any]
    workers: int
    folder: str = ""
    users: int = 0


_lock = threading.Lock()
_ours: _Ours | None = None


def check_settings(settings: Mapping[str, Any]) -> None:
    """Raise ConfigError for what is no argument of `ray.init`."""
    known = [name for name in inspect.signature(ray.init).parameters if name not in {"address", "kwargs"}]
    for name in settings:
        if name not in known and not name.startswith("_"):
            near = get_close_matches(name, known, 1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ConfigError(
                f"executor 'ray' has no option {name!r}{hint}: it takes 'address' and what ray.init takes"
            )


def connect(address: str | None, settings: Mapping[str, Any], workers: int) -> bool:
    """Connect this process, unless it is connected; say whether the connection is ours, to be given back.

    Raises ConfigError when another cluster is connected, KernelError when there is no connection to be had.
    """
    global _ours  # noqa: PLW0603 - Ray's connection is the process's, too
    address = address or os.environ.get("RAY_ADDRESS") or None
    with _lock:
        if _ours is not None and not ray.is_initialized():
            _forget()  # somebody else ended it
        if _ours is None and ray.is_initialized():
            return False
        if _ours is None:
            _ours = _Ours(address, settings, workers)
            try:
                _begin(_ours)
            except BaseException:
                _end()
                raise
        elif (_ours.address, _ours.settings) != (address, settings):
            raise ConfigError(
                f"this process is connected to {_ours.address or 'a Ray of its own'} until the run there is over; "
                f"a process can use one Ray at a time"
            )
        _ours.users += 1
        return True


def disconnect() -> None:
    """Give the connection back; the last user ends it, and with it a local instance."""
    with _lock:
        if _ours is not None:
            _ours.users -= 1
            if not _ours.users:
                _end()


def _end() -> None:
    with _signals_kept():
        ray.shutdown()
    _forget()


def _forget() -> None:
    global _ours
    ended, _ours = _ours, None
    if ended is not None and ended.folder:
        shutil.rmtree(ended.folder, ignore_errors=True)


def _begin(ours: _Ours) -> None:
    if ours.address is not None:
        _reach(ours.address)
        usual: dict[str, Any] = {"address": ours.address}
    else:
        usual = {"address": "local", "num_cpus": ours.workers, "include_dashboard": False}
        if "object_store_memory" not in ours.settings:
            usual["object_store_memory"] = _memory()
    arguments = {"log_to_driver": False, "logging_level": "WARNING", **usual, **ours.settings}
    is_near = ours.address is None and "runtime_env" not in ours.settings
    for is_last in (False, True):
        if ours.address is None and "_temp_dir" not in ours.settings:
            arguments["_temp_dir"] = ours.folder = _folder(ours.folder)
        try:
            with _signals_kept(), _without_statistics(), same_environment() if is_near else nullcontext():
                ray.init(**arguments)
        except Exception as error:  # whatever keeps it from starting; a local one is slow to start on a busy machine
            with _signals_kept():
                ray.shutdown()
            if is_last or ours.address is not None:
                raise KernelError(_complaint(ours, error)) from error
        else:
            return


def _complaint(ours: _Ours, error: BaseException) -> str:
    said = str(error).strip().partition("\n")[0] or type(error).__name__
    if ours.address is None:
        return f"the executor 'ray' could not start Ray on this machine: {said}"
    return f"the executor 'ray' cannot use the Ray cluster at {ours.address!r}: {said}"


def _reach(address: str) -> None:
    """See that somebody listens at the address: Ray itself would try for a minute, and may end the process."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not colon or not port.isdecimal():
        return  # "auto", or another word of Ray's
    try:
        socket.create_connection((host.strip("[]"), int(port)), _REACH_S).close()
    except OSError as error:
        raise KernelError(
            f"the executor 'ray' cannot reach a Ray cluster at {address!r}: {error.strerror or error}. "
            f"`ray start --head` prints the address to use"
        ) from error


def _folder(before: str) -> str:
    """Make a new temporary folder in place of the one before."""
    if before:
        shutil.rmtree(before, ignore_errors=True)
    usual = tempfile.gettempdir()
    return tempfile.mkdtemp(prefix="kernel-ray-", dir=usual if len(usual) < _LONGEST_FOLDER else "/tmp")  # noqa: S108 - a short path


def _memory() -> int:
    """Choose how much memory (bytes) values may take: little enough that Ray finds it."""
    place = "/dev/shm" if os.path.isdir("/dev/shm") else tempfile.gettempdir()  # noqa: S108, PTH112 - only its size is asked
    return max(80 << 20, min(_MOST_MEMORY, shutil.disk_usage(place).free // 3))


@contextmanager
def _signals_kept() -> Generator[None]:
    """Put back the handler of SIGTERM, which Ray takes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _without_statistics() -> Generator[None]:
    """Have Ray send no usage statistics about an instance of ours, unless the user has said what it shall do."""
    name = "RAY_USAGE_STATS_ENABLED"
    if name in os.environ:
        yield
        return
    os.environ[name] = "0"
    try:
        yield
    finally:
        os.environ.pop(name, None)
