"""What a node or its listeners say of a turn: `kernel.note`."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

__all__ = ["note", "noted"]

#: What was noted in the turn that runs in this context.
noted: ContextVar[dict[str, Any]] = ContextVar("kernel_notes")


def note(key: str, value: Any) -> None:
    """Hand something learnt in a worker to the runner: it arrives in the node's report, as `report.notes[key]`.

    Call it from a node's function or from a listener of a node or dataset hook; `value` must be picklable.
    Raises RuntimeError outside of a node's turn.
    """
    notes = noted.get(None)
    if notes is None:
        raise RuntimeError("kernel.note() was called outside of a node's turn: there is no report to add it to")
    notes[key] = value
