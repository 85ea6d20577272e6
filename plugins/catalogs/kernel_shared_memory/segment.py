"""What a segment is."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Segment"]


@frozen
class Segment:
    """One file of shared memory: `fd` is the runner's descriptor, `path` what others open, `size` in bytes."""

    fd: int
    path: str
    size: int
