"""Tables as Parquet."""

from __future__ import annotations

from typing import IO, Any

from kernel_files.file import FileDataset
from kernel_files.library import library

__all__ = ["ParquetDataset"]


class ParquetDataset(FileDataset):
    """A pandas frame; the arguments are those of `pandas.read_parquet` and `DataFrame.to_parquet`.

    An Arrow table may be saved, too: `save_args` are then those of `pyarrow.parquet.write_table`.
    """

    def read(self, file: IO[bytes]) -> Any:
        """Return the frame."""
        if "engine" not in self.load_args:
            library("pyarrow")
        pd = library("pandas")
        return pd.read_parquet(file, **self.load_args)

    def write(self, data: Any, file: IO[bytes]) -> None:
        """Write the frame or the table."""
        if type(data).__module__.partition(".")[0] == "pyarrow":
            library("pyarrow.parquet").write_table(data, file, **self.save_args)
        else:
            data.to_parquet(file, **self.save_args)
