"""Arrays in numpy's own format."""

from __future__ import annotations

from typing import IO, Any, ClassVar

from kernel_files.file import FileDataset
from kernel_files.library import library

__all__ = ["NumPyDataset"]


class NumPyDataset(FileDataset):
    """An array (`.npy`), or a mapping of names to arrays (`.npz`); the data decides, not the file's name.

    Arrays of objects are refused unless `allow_pickle` is given both ways. `save_args: {compressed: true}`
    packs a mapping.
    """

    save_defaults: ClassVar = {"allow_pickle": False}

    def read(self, file: IO[bytes]) -> Any:
        """Return the array, or the arrays by name."""
        np = library("numpy")
        found = np.load(file, **self.load_args)
        return dict(found) if hasattr(found, "files") else found

    def write(self, data: Any, file: IO[bytes]) -> None:
        """Write the array, or the arrays by name."""
        np = library("numpy")
        args = dict(self.save_args)
        compressed = args.pop("compressed", False)
        if isinstance(data, dict):
            (np.savez_compressed if compressed else np.savez)(file, **data, **args)
        else:
            np.save(file, data, **args)
