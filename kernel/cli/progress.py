"""Tells how a run goes on: one line for each node that is done, and the counts for the summary."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.cli.lines import escaped, one_line
from kernel.cli.output import say
from kernel.specs.events import State
from kernel.specs.markers import hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kernel.nodes import Node
    from kernel.specs.events import Report

__all__ = ["Progress"]

_WORDS = {State.DONE: "ok", State.DONE_LOCAL: "ok", State.FAILED: "FAILED", State.LOST: "LOST"}
#: Names up to this long are lined up in a column.
_COLUMN = 40
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Progress:
    """The command line's own listener; it is called in the runner's process only."""

    def __init__(self, names: Iterable[str]) -> None:
        self.names = tuple(names)
        self.ok: set[str] = set()
        self.failed: set[str] = set()
        self.work_s = 0.0
        self.workers: set[int] = set()
        self._column = min(_COLUMN, max(map(len, self.names), default=0))

    @property
    def started(self) -> bool:
        """Whether anything came of any node yet."""
        return bool(self.ok or self.failed)

    @hookimpl
    def on_task_done(self, node: Node, report: Report) -> None:
        """Print the node's line."""
        word = _WORDS.get(report.state)
        if word is None:
            return
        seconds = report.end - report.start
        self.work_s += seconds
        self.workers.add(report.worker)
        if word == "ok":
            self.ok.add(node.name)
            self.failed.discard(node.name)
        else:
            self.failed.add(node.name)
            self.ok.discard(node.name)
        size = f"  {_size(report.bytes)}" if report.bytes else ""
        again = f"  attempt {report.attempt}" if report.attempt > 1 else ""
        name = escaped(node.name).ljust(self._column)
        # Of a node that was stopped, or whose worker died, nobody knows how long it ran.
        took = f"{seconds:7.2f}s" if report.end else f"{'-':>8}"
        say(f" {word:<6} {name}  {took}  w{report.worker}{size}{again}")

    @hookimpl
    def on_worker_lost(self, worker: int, node: Node | None, error: BaseException) -> None:
        """Say at once that a worker died: the run may well go on without it."""
        doing = f" while it ran {escaped(node.name)}" if node is not None else ""
        who = f"worker {worker}" if worker >= 0 else "a worker"  # not every engine knows which
        say(f" LOST   {who}{doing}: {one_line(str(error), 200)}")

    @hookimpl
    def on_node_repeated(self, node: Node, attempt: int) -> None:
        """Say that a node ran again which was done."""
        say(f" again  {escaped(node.name)}: its result was lost with a worker, this was run {attempt}")


def _size(count: int) -> str:
    """Write a number of bytes in the largest unit that leaves at least 1."""
    power = min(len(_UNITS) - 1, (len(str(count)) - 1) // 3)
    return f"{count} B" if power == 0 else f"{count / 1000**power:.1f} {_UNITS[power]}"
