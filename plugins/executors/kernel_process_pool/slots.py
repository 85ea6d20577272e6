"""Shared words of each worker: what it runs, how far it is, up to where it must drop what was sent.

The runner reads them when a worker has died: they name the node that was running, and tell what had finished from what
had not started. Each of these words has one writer, and an aligned eight-byte store is never torn.

One word is all workers': it is set by a worker whose node failed and cleared by the runner once it has heard of it.
While it is set, no worker starts a turn: what was sent ahead goes back. A set that is lost to a clear at the same
moment does no harm, for the runner has dealt with a failure just then.
"""

from __future__ import annotations

import mmap
import os

from kernel_process_pool.anonymous import open_anonymous

__all__ = ["ALL", "NOTHING", "Slot", "Slots"]

#: Words to a slot: a cache line of its own for each worker.
_WIDTH = 8
#: No node is running.
NOTHING = -1
#: A count that is never reached.
ALL = 1 << 62


class Slot:
    """One worker's words: `started`, `done` and `heard` count turns, `node` is the one that runs."""

    def __init__(self, words: memoryview, number: int) -> None:
        base = (number + 1) * _WIDTH  # the first is for the word of all
        self._words = words
        self._started, self._done, self._node, self._drop_from, self._drop, self._heard, self._cut = range(
            base, base + 7
        )

    def reset(self) -> None:
        """Make ready for a new process."""
        for at in (self._started, self._done, self._drop_from, self._drop, self._heard, self._cut):
            self._words[at] = 0
        self._words[self._node] = NOTHING

    def start(self, count: int, node: int) -> int:
        """Say that turn number `count` starts (worker); return up to where it must drop turns, from this one on, or 0.

        Said first, asked then: when the runner tells it to drop turns, puts a barrier between and finds that this one
        has not started, it never will.
        """
        words = self._words
        words[self._node] = node
        words[self._started] = count
        if words[0]:
            return ALL
        until = words[self._drop]
        return until if count <= until and count >= words[self._drop_from] else 0

    def finish(self, count: int) -> None:
        """Say that turn number `count` has run (worker)."""
        self._words[self._done] = count

    def skip(self, count: int) -> None:
        """Say that turns up to number `count` were dropped (worker)."""
        self._words[self._node] = NOTHING
        self._words[self._started] = count
        self._words[self._done] = count

    @property
    def started(self) -> int:
        """How many turns this process has started."""
        return int(self._words[self._started])

    @property
    def done(self) -> int:
        """How many turns this process has run."""
        return int(self._words[self._done])

    @property
    def node(self) -> int:
        """The node of the turn that was started last."""
        return int(self._words[self._node])

    @property
    def dropped(self) -> int:
        """Up to which count it was last told to drop turns."""
        return int(self._words[self._drop])

    def drop(self, first: int, until: int) -> None:
        """Have the worker drop the turns from one count to another that it has not started (runner)."""
        self._words[self._drop_from] = first
        self._words[self._drop] = until

    @property
    def heard(self) -> int:
        """With how many of its turns the runner has dealt: it gave back the memory that nobody needs after them."""
        return int(self._words[self._heard])

    def hear(self, count: int) -> None:
        """Say that the runner has dealt with turns up to number `count` (runner)."""
        self._words[self._heard] = count

    @property
    def is_cut(self) -> bool:
        """Whether the process has found that its stream was closed under it."""
        return bool(self._words[self._cut])

    def say_cut(self) -> None:
        """Say that the stream of this process was closed under it (worker)."""
        self._words[self._cut] = 1

    def set_hold(self) -> None:
        """Have no worker start a turn until the runner has heard of a failure (worker)."""
        self._words[0] = 1


class Slots:
    """The shared memory of all slots. Its descriptor is handed to each worker; the memory has no name to clean up."""

    def __init__(self, count: int) -> None:
        size = -(-(count + 1) * _WIDTH * 8 // mmap.PAGESIZE) * mmap.PAGESIZE
        self.fd = open_anonymous("slots", size)
        self._map = mmap.mmap(self.fd, size)
        self._words = memoryview(self._map).cast("q")

    @classmethod
    def attach(cls, fd: int) -> Slots:
        """Map the slots in a worker and close the descriptor."""
        self = cls.__new__(cls)
        self.fd = -1
        self._map = mmap.mmap(fd, os.fstat(fd).st_size)
        self._words = memoryview(self._map).cast("q")
        os.close(fd)
        return self

    def __getitem__(self, number: int) -> Slot:
        return Slot(self._words, number)

    @property
    def hold(self) -> bool:
        """Whether no worker is to start a turn."""
        return bool(self._words[0])

    def clear_hold(self) -> None:
        """Let workers start turns again (runner)."""
        self._words[0] = 0

    def close(self) -> None:
        """Give the descriptor and the memory back (runner)."""
        self._words.release()
        self._map.close()
        os.close(self.fd)
