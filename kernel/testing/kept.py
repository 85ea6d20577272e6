"""Datasets of the kit: values in files, and one that keeps a checkpoint; importable by workers."""

from __future__ import annotations

import pickle
import secrets
from pathlib import Path
from typing import Any

from kernel.datasets import Dataset
from kernel.errors import DatasetError

__all__ = ["Checkpoint", "Kept"]


class Kept(Dataset):
    """A pickle in a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def load(self) -> Any:
        """Return the value. Raises `DatasetError` when there is none."""
        if not self.exists():
            raise DatasetError(f"there is no file {self.path}")
        return pickle.loads(Path(self.path).read_bytes())

    def save(self, data: Any) -> None:
        """Write the value, whole or not at all."""
        partial = Path(f"{self.path}.{secrets.token_hex(4)}")
        partial.write_bytes(pickle.dumps(data, 5))
        partial.replace(self.path)

    def exists(self) -> bool:
        """Say whether there is a file."""
        return Path(self.path).exists()

    def describe(self) -> str:
        """Say where it is."""
        return self.path


class Checkpoint(Kept):
    """A list, of which the part that has been dealt with is noted beside it when a run confirms it."""

    _loaded = 0

    def load(self) -> Any:
        """Return the whole list, and remember how long it was."""
        value = super().load()
        self._loaded = len(value)
        return value

    def confirm_token(self) -> Any:
        """Return the length of what was loaded."""
        return self._loaded

    def confirm(self, token: Any) -> None:
        """Note the length."""
        Path(f"{self.path}.confirmed").write_text(str(token))

    def confirmed(self) -> str:
        """Return what was noted; empty when nothing was."""
        path = Path(f"{self.path}.confirmed")
        return path.read_text() if path.exists() else ""
