"""Values that nobody else has: kept as they are for one reader, copied where there are more."""

from __future__ import annotations

from typing import Any

from kernel.values.copying import Kept, keep

__all__ = ["Own"]


class Own(Kept):
    """The value itself, until somebody takes it who is not the last; from then on a copy, made for the first of those.

    The last reader has it alone: what it makes of it may be its own again, and not shared with what is kept here.
    Several threads may take at once, and a process that is forked off meanwhile as well: there are no locks.
    """

    __slots__ = ("_kept", "_value")

    def __init__(self, value: Any) -> None:
        self._value = [value]
        self._kept: Kept | None = None

    def take(self, name: str, last: bool) -> Any:
        """Return a value that the caller may change; raises `DatasetError` where a copy cannot be made."""
        if last and self._kept is None:  # all other readers are done
            return self._value.pop()
        for value in list(self._value):
            if self._kept is None:
                self._kept = keep(value, name=name)  # where two threads come here, the copy of either will do
        self._value.clear()
        assert self._kept is not None
        return self._kept.take(name, last)
