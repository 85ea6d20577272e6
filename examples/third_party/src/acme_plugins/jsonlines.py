"""Lists of records as lines of JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from kernel import Dataset
from kernel.errors import DatasetError


class JSONLinesDataset(Dataset):
    """A list of records, each a line of the file at `filepath`."""

    def __init__(self, filepath: str | os.PathLike[str]) -> None:
        self.path = Path(filepath).absolute()

    def load(self) -> list[Any]:
        if not self.path.exists():
            raise DatasetError(f"there is no file {self.path}")
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def save(self, data: list[Any]) -> None:
        text = "".join(f"{json.dumps(record)}\n" for record in data)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", dir=self.path.parent, prefix=".partial-", delete=False) as file:
            file.write(text)
        Path(file.name).replace(self.path)  # who reads meanwhile sees the old or the new

    def exists(self) -> bool:
        return self.path.exists()

    def describe(self) -> str:
        return str(self.path)
