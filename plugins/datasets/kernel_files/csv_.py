"""Tables as comma-separated text."""

from __future__ import annotations

from typing import IO, Any, ClassVar

from kernel_files.file import FileDataset
from kernel_files.library import library

__all__ = ["CSVDataset"]

_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd", ".zip": "zip"}


class CSVDataset(FileDataset):
    """A pandas frame; the arguments are those of `pandas.read_csv` and `DataFrame.to_csv`.

    The index is not saved unless `save_args` asks for it. The name's ending tells the compression.
    """

    save_defaults: ClassVar = {"index": False}

    def read(self, file: IO[bytes]) -> Any:
        """Return the frame."""
        pd = library("pandas")
        args: dict[str, Any] = {"compression": self._compression(), **self.load_args}
        return pd.read_csv(file, **args)

    def write(self, data: Any, file: IO[bytes]) -> None:
        """Write the frame."""
        data.to_csv(file, **{"mode": "wb", "compression": self._compression(), **self.save_args})

    def _compression(self) -> str | None:
        return next((kind for ending, kind in _COMPRESSIONS.items() if self.filepath.endswith(ending)), None)
