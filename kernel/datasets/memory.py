"""A dataset whose value lives in memory."""

from __future__ import annotations

from typing import Any, ClassVar, Final, get_args

from kernel.datasets.dataset import CopyMode, Dataset
from kernel.errors import DatasetError
from kernel.values.copying import copy_value

__all__ = ["MemoryDataset"]


class _Nothing:
    """Stands for "no value yet", since None is a value."""

    def __repr__(self) -> str:
        return "<nothing>"


_NOTHING: Final = _Nothing()


class MemoryDataset(Dataset):
    """A value in memory; loads and saves copy it as `copy_mode` says (None: as a pickle does).

    `data` is held as it is given, without a copy. In a run the catalog plugin keeps the value instead, and
    obeys the same `copy_mode`.
    """

    in_memory: ClassVar[bool] = True

    def __init__(self, data: Any = _NOTHING, copy_mode: CopyMode | None = None) -> None:
        if copy_mode is not None and copy_mode not in get_args(CopyMode):
            known = ", ".join(get_args(CopyMode))
            raise DatasetError(f"copy_mode must be one of {known}, or left out; not {copy_mode!r}")
        self._data = data
        self.copy_mode: CopyMode | None = copy_mode

    def load(self) -> Any:
        """Return a copy of the value. Raises `DatasetError` when nothing has been saved."""
        return copy_value(self.original(), self.copy_mode)

    def save(self, data: Any) -> None:
        """Keep a copy of the value."""
        self._data = copy_value(data, self.copy_mode)

    def original(self) -> Any:
        """Return the very object that is held. Raises `DatasetError` when nothing has been saved."""
        if self._data is _NOTHING:
            raise DatasetError("holds no value yet: save one, or give one to the run")
        return self._data

    def exists(self) -> bool:
        """Say whether a value is held; None is one."""
        return self._data is not _NOTHING

    def release(self) -> None:
        """Drop the value."""
        self._data = _NOTHING

    def describe(self) -> str:
        """Say that it is in memory."""
        return "memory"
