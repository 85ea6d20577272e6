"""JSON documents."""

from __future__ import annotations

import json
from typing import IO, Any

from kernel_files.file import FileDataset

__all__ = ["JSONDataset"]


class JSONDataset(FileDataset):
    """A JSON document in UTF-8; the arguments are those of `json.loads` and `json.dumps`."""

    def read(self, file: IO[bytes]) -> Any:
        """Return the document."""
        return json.loads(file.read(), **self.load_args)

    def write(self, data: Any, file: IO[bytes]) -> None:
        """Write the document."""
        file.write(json.dumps(data, **self.save_args).encode())
