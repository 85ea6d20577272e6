"""Values that nobody else has: kept as they are for one reader, copied where there are more."""

from __future__ import annotations

from threading import Lock
from typing import Any

from kernel.values.copying import Kept, keep

__all__ = ["Own"]


class Own(Kept):
    """The very value, as long as its only reader may be the last; a copy of it as soon as there are more.

    The last reader has it alone: what it makes of it may be its own again, and not shared with what is kept here.
    """

    __slots__ = ("_kept", "_lock", "_value")

    def __init__(self, value: Any) -> None:
        self._value = [value]
        self._kept: Kept | None = None
        self._lock = Lock()  # readers may be threads

    def take(self, name: str, last: bool) -> Any:
        """Return a value that the caller may change; raises `DatasetError` where a copy cannot be made."""
        with self._lock:
            if last and self._kept is None:
                return self._value.pop()
            if self._kept is None:
                self._kept = keep(self._value[0], name=name)
                self._value.clear()
        return self._kept.take(name, last)
