"""An engine's worker: takes up a program once, runs jobs of it, packs what came of them."""

from __future__ import annotations

import os
import pickle
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from multiprocessing.util import Finalize
from typing import TYPE_CHECKING, Any

from kernel.errors import DataLost
from kernel.failure import capture
from kernel.specs.events import Outcomes, Row
from kernel.starting import load
from kernel.worker import Worker
from kernel_remote.caller import Caller, arrive, packed_caller, search_path, settle, unpacked_caller
from kernel_remote.context import entered
from kernel_remote.engine import Away
from kernel_remote.shipment import Shipment
from kernel_remote.surroundings import logger_names, move_in
from kernel_remote.turns import INNER, Sent, sendable

if TYPE_CHECKING:
    from kernel.specs.tasks import Program
    from kernel_remote.guests import Guest
    from kernel_remote.records import Word

__all__ = ["INLINE", "MISSING", "Packed", "Report", "forget", "nth", "pack_parcel", "run_job"]

#: A handle up to this size (bytes) travels in the report itself; a larger one beside it, where an engine can keep it.
INLINE = 1 << 14
#: What `run_job` returns for a program that it has not seen.
MISSING = b""

#: What a report unpickles to: who ran it, its process, outcomes or the failure to take up the program, and what was
#: logged or warned of.
Report = tuple[str, int, Any, "list[Word]"]

#: Turns that follow each other, and the handles by name of what came before them in their chain.
Packed = tuple[Sequence[Sent], Mapping[str, Any]]

_booths: dict[str, _Booth] = {}
_lock = threading.Lock()


def pack_parcel(program: Shipment | bytes, *, alone: bool = False, own: bool = False) -> bytes:
    """Wrap a pickled program with what a worker has to know of the runner's process before it unpickles it.

    `alone`: the worker's process serves one runner at a time. `own`: it is the runner's child, as good as part of it.
    """
    shipment = Shipment(program) if isinstance(program, bytes) else program
    return pickle.dumps((shipment, packed_caller(process=own), search_path(), _process(), alone), 5)


def run_job(key: str, parcel: bytes | None, turns: bytes, *held: Sequence[Any]) -> tuple[bytes, Sequence[Any]]:
    """Run turns of the program `key`; return a report and the large handles that it leaves out.

    The report is `MISSING` where the program is not known here and no parcel came with the job. `held` are lists of
    large handles, as they were returned by earlier jobs.
    """
    with _lock:
        booth = _booths.get(key)
        if booth is None:
            if parcel is None:
                return MISSING, ()
            booth = _enter(key, parcel)
        booth.jobs += 1
    try:
        return booth.run(pickle.loads(turns), held)
    finally:
        with _lock:
            booth.jobs -= 1


def nth(large: Sequence[Any] | None, at: int) -> Any:
    """Return one of the large handles that a job left. Raises `DataLost` where it did not when it was run again."""
    if large is None or at >= len(large):
        raise DataLost((), "the node that made it was run again after a loss, and failed")
    return large[at]


def forget(key: str) -> None:
    """Let go of a program whose run is over; listeners hear that the worker stops."""
    with _lock:
        booth = _booths.pop(key, None)
    if booth is not None:
        booth.close()


def _enter(key: str, parcel: bytes) -> _Booth:
    """Take up a program, and let go of those before it that the same executor ran."""
    session = key.partition("/")[0]
    for other in [other for other, booth in _booths.items() if other.partition("/")[0] == session and not booth.jobs]:
        _booths.pop(other).close()
    booth = _booths[key] = _Booth(parcel)
    return booth


def _leave() -> None:
    for key in list(_booths):
        forget(key)


def _process() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()


class _Booth:
    """One program in this process. Several threads may run jobs at once, as some engines have it."""

    def __init__(self, parcel: bytes) -> None:
        self.jobs = 0
        self._words: deque[Word] = deque()
        #: The caller, in a process that is not its own.
        self._caller: Caller | None = None
        self._move_out: Callable[[], None] | None = None
        self._worker: Worker | None = None
        self._failure: Any = None
        self._guest: Guest | None = None
        try:
            self._worker = self._open(parcel)
        except BaseException as error:  # a module that cannot be imported here, or exits; a listener, likewise
            self._failure = capture(error, "start")
            if self._guest is not None:
                self._guest.leave()

    def _open(self, parcel: bytes) -> Worker:
        shipment, packed, path, runner, alone = pickle.loads(parcel)
        caller = unpacked_caller(packed)
        is_elsewhere = runner != _process()
        is_own = caller.process is not None and runner[0] == _process()[0]
        known = logger_names() if is_own else None
        if is_elsewhere and is_own:
            arrive(caller, None)
        elif is_elsewhere:
            sys.path.extend(folder for folder in path if folder not in sys.path)
        if is_elsewhere and shipment.definitions is not None:
            from kernel_remote.guests import Guest  # noqa: PLC0415 - most projects are modules

            self._guest = Guest(shipment, shipment.definitions, alone=alone)
            program: Program = self._guest.program()
        else:
            program = load(shipment.program)
        if is_elsewhere:
            self._caller, self._move_out = caller, move_in(caller, self._words.append, known)
            if is_own:
                settle(caller)
        program.store.open(os.getpid())
        worker = Worker(program, os.getpid())
        with self._inside():
            worker.start()
        # An exit handler of the standard library's own kind: workers of `multiprocessing` and of loky run no others.
        Finalize(None, _leave, exitpriority=10)
        return worker

    def _inside(self) -> AbstractContextManager[None]:
        """See the runner's main module, in this thread; in the runner's own process that is seen anyway."""
        return nullcontext() if self._guest is None else self._guest.inside()

    def close(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            with self._inside():
                worker.stop()
            worker.program.store.close()
        if self._guest is not None:
            self._guest.leave()
        move_out, self._move_out = self._move_out, None
        if move_out is not None:
            move_out()

    def run(self, stretches: Sequence[Packed], held: Sequence[Sequence[Any]]) -> tuple[bytes, Sequence[Any]]:
        """Run turns up to the first that fails; return the report and the large handles."""
        host, pid = _process()
        who = f"{host}:{pid}:{threading.get_ident()}"
        large: list[Any] = []
        found: Any = self._failure
        if found is None:
            with self._inside():
                context = copy_context() if self._caller is None else entered(self._caller.context)
                rows = context.run(self._rows, stretches, held)
                found = Outcomes.of_rows(0, [_lightened(row, large) for row in rows])
        words = [self._words.popleft() for _ in range(len(self._words))]  # more may come from other threads
        return pickle.dumps((who, pid, found, words), 5), large

    def _rows(self, stretches: Sequence[Packed], held: Sequence[Sequence[Any]]) -> list[Row]:
        worker = self._worker
        assert worker is not None

        def here(handle: Any) -> Any:
            return nth(held[handle.place], handle.at) if type(handle) is Away else handle

        rows: list[Row] = []
        for turns, before in stretches:
            made = {name: here(handle) for name, handle in before.items()}
            for index, handles, last, attempt, flags in turns:
                row = worker.run(index, list(map(here, handles)), last, attempt, made, flags & INNER)
                rows.append(sendable(row) if row[9] or row[10] else row)
                if rows[-1][7] is not None:
                    return rows
        return rows


def _lightened(row: Row, large: list[Any]) -> Row:
    """Move the large handles of a row into a list of their own."""
    handles = row[1]
    if not handles or not any(_weight(handle) > INLINE for handle in handles):
        return row
    light: list[Any] = []
    for handle in handles:
        if _weight(handle) > INLINE:
            light.append(Away(-1, len(large)))
            large.append(handle)
        else:
            light.append(handle)
    return (row[0], light, *row[2:])


def _weight(handle: Any) -> int:
    """Return about how many bytes a handle takes, of those kinds that can be large."""
    kind: type[Any] = type(handle)  # pyright: ignore[reportUnknownVariableType] - whatever it is
    if kind in {bytes, str}:
        return len(handle)
    return sum(_weight(part) for part in handle) if kind is tuple else 0
