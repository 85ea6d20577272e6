"""The hooks as whoever runs nodes calls them. Most workers have no listeners, and need no more than this."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["Caller", "Callers"]

#: Calls every listener of one hook; takes the hook's arguments by keyword.
Caller = Callable[..., Any]


class Callers:
    """Each hook as an attribute: None when nobody listens."""

    load_project: Caller | None = None
    load_settings: Caller | None = None
    after_context_created: Caller | None = None
    after_catalog_created: Caller | None = None
    before_pipeline_run: Caller | None = None
    after_pipeline_run: Caller | None = None
    on_pipeline_error: Caller | None = None
    required_workers: Caller | None = None
    retry_lost_node: Caller | None = None
    before_node_run: Caller | None = None
    after_node_run: Caller | None = None
    on_node_error: Caller | None = None
    before_dataset_loaded: Caller | None = None
    after_dataset_loaded: Caller | None = None
    before_dataset_saved: Caller | None = None
    after_dataset_saved: Caller | None = None
    after_worker_start: Caller | None = None
    before_worker_stop: Caller | None = None
    on_task_submitted: Caller | None = None
    on_task_done: Caller | None = None
    on_node_repeated: Caller | None = None
    on_worker_lost: Caller | None = None
