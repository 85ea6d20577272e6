"""What each node cost: measured in the worker that ran it, collected by the runner, kept as a table."""

from __future__ import annotations

import csv
import logging
import resource
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel import hookimpl, note

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.specs.events import Report

TABLE = Path(__file__).parents[2] / "data" / "node_times.csv"
COLUMNS = ("node", "worker", "start_s", "load_s", "run_s", "save_s", "cpu_s", "peak_mb")

_logger = logging.getLogger(__name__)
# Linux counts in KiB, macOS in bytes.
_PEAK_UNIT = 1 if sys.platform == "darwin" else 1024


class NodeTimer:
    """Notes the CPU time and the peak memory of each node and writes a row for each to TABLE.

    `start_s` is when a node started, in seconds after the first; `cpu_s` the CPU time (seconds) of the thread
    that ran its function; `peak_mb` (megabytes) the most memory that its process has held so far. A worker
    process has its own copy of this listener: what it measures there reaches the runner as notes in the
    node's report.
    """

    def __init__(self) -> None:
        self._started: dict[str, float] = {}  # by node: threads share one listener
        self._rows: list[dict[str, Any]] = []

    @hookimpl
    def before_node_run(self, node: Node) -> None:
        """Start the clock, in the worker."""
        self._started[node.name] = time.thread_time()

    @hookimpl
    def after_node_run(self, node: Node) -> None:
        """Stop the clock and send what it showed, in the worker."""
        note("cpu_s", round(time.thread_time() - self._started.pop(node.name), 4))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _PEAK_UNIT
        note("peak_mb", round(peak / 1e6, 1))

    @hookimpl
    def before_pipeline_run(self) -> None:
        """Forget the run before, in the runner's process."""
        self._rows.clear()

    @hookimpl
    def on_task_done(self, node: Node, report: Report, error: BaseException | None) -> None:
        """Take what a worker noted of a node, in the runner's process."""
        if error is None:
            spans = {name: round(getattr(report, name), 4) for name in ("load_s", "run_s", "save_s")}
            where = {"node": node.name, "worker": report.worker, "start_s": report.start}
            self._rows.append({**where, **spans, **report.notes})

    @hookimpl
    def after_pipeline_run(self) -> None:
        """Write the table in the order in which nodes started, in the runner's process."""
        begin = min((row["start_s"] for row in self._rows), default=0.0)
        rows = [{**row, "start_s": round(row["start_s"] - begin, 4)} for row in self._rows]
        rows.sort(key=lambda row: row["start_s"])
        TABLE.parent.mkdir(parents=True, exist_ok=True)
        with TABLE.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        spent = sum(row.get("cpu_s", 0.0) for row in rows)
        _logger.info("%d nodes took %.1f s of CPU; see %s", len(rows), spent, TABLE)
