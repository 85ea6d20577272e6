"""Plain text."""

from __future__ import annotations

from typing import IO, Any

from kernel.errors import DatasetError
from kernel_files.file import FileDataset

__all__ = ["TextDataset"]


class TextDataset(FileDataset):
    """A text, its line ends as they are; `load_args` and `save_args` are those of `decode` and `encode`."""

    def read(self, file: IO[bytes]) -> str:
        """Return the text."""
        return file.read().decode(**self.load_args)

    def write(self, data: Any, file: IO[bytes]) -> None:
        """Write the text."""
        if not isinstance(data, str):
            raise DatasetError(f"takes a text, not a {type(data).__name__}")
        file.write(data.encode(**self.save_args))
