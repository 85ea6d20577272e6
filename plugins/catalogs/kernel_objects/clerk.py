"""Writes the index and removes objects beside the run, so that the loop never waits for a distant place."""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import TYPE_CHECKING

from kernel_objects.index import write_index

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from kernel_objects.index import Index
    from kernel_objects.place import Folder, Place

__all__ = ["Clerk"]

_log = logging.getLogger("kernel")

#: Seconds between two rounds: what comes up meanwhile is dealt with together.
_PAUSE_S = 0.2
#: Seconds between two writings of the index, and how many times what one takes.
_INDEX_PAUSE_S, _INDEX_SHARE = 1.0, 20
#: Objects are removed so many at a time.
_BATCH = 1000


class Clerk:
    """Works in a thread that is there from the first task to `stop`.

    An object is removed only once no index that was written names it. Without `index`, which returns what to write,
    there is none. What cannot be done is logged: it is no reason to end a run.
    """

    def __init__(self, place: Place, folder: Folder, index: Callable[[], Index] | None) -> None:
        self._place = place
        self._folder = folder
        self._index = index
        self._news = threading.Event()
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._unwanted: list[str] = []
        self._changed = False
        self._warned = False
        self._next_index = 0.0

    def note(self) -> None:
        """Have the index written anew, now or soon."""
        if self._index is not None and not self._changed:
            self._changed = True
            self._wake()

    def drop(self, names: Iterable[str]) -> None:
        """Have objects removed, now or soon."""
        with self._lock:
            self._unwanted.extend(names)
        self._wake()

    def stop(self) -> None:
        """End the thread; what is left to be done is not done."""
        self._stopping.set()
        self._news.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def finish(self, last: Index | None) -> None:
        """End the thread, write this index if there is one, and remove what is not wanted."""
        self.stop()
        if last is None or self._write(last):
            self._remove(self._take())

    def _wake(self) -> None:
        self._news.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="kernel objects", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        while not self._stopping.is_set():
            self._news.wait()
            self._news.clear()
            if self._stopping.wait(_PAUSE_S):
                return
            if self._index is not None and (wait := self._next_index - monotonic()) > 0 and self._stopping.wait(wait):
                return
            self._round()

    def _round(self) -> None:
        names = self._take()
        if self._index is not None:
            begun = monotonic()
            self._changed = False
            written = self._write(self._index())
            ended = monotonic()
            self._next_index = ended + max(_INDEX_PAUSE_S, _INDEX_SHARE * (ended - begun))
            if not written:
                self.drop(names)
                return
        self._remove(names)

    def _write(self, index: Index) -> bool:
        try:
            write_index(self._folder, index)
        except Exception as error:  # a file system raises anything
            self._warn("the index cannot be written", error)
            return False
        return True

    def _take(self) -> list[str]:
        with self._lock:
            names, self._unwanted = self._unwanted, []
        return names

    def _remove(self, names: Sequence[str]) -> None:
        for at in range(0, len(names), _BATCH):
            try:
                self._folder.remove(names[at : at + _BATCH])
            except Exception as error:  # a file system raises anything
                self._warn("values that nobody needs cannot be removed", error)

    def _warn(self, what: str, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("In %s %s: %s", self._place.shown(), what, self._place.told(error))
