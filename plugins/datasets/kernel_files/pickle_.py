"""Any Python object as a pickle."""

from __future__ import annotations

import pickle
from typing import IO, Any, ClassVar

from kernel_files.file import FileDataset
from kernel_files.library import library

__all__ = ["PickleDataset"]


class PickleDataset(FileDataset):
    """Any Python object; what `pickle` cannot write, such as lambdas, `cloudpickle` writes by value.

    Loading runs what the file says: load only files that you trust.
    """

    save_defaults: ClassVar = {"protocol": 5}

    def read(self, file: IO[bytes]) -> Any:
        """Return the object."""
        return pickle.load(file, **self.load_args)

    def write(self, data: Any, file: IO[bytes]) -> None:
        """Write the object."""
        if not file.seekable():  # what is under way to a remote place cannot be taken back
            file.write(self._dumped(data))
            return
        try:
            pickle.dump(data, file, **self.save_args)
        except (pickle.PicklingError, AttributeError, TypeError):
            file.seek(0)
            file.truncate()
            library("cloudpickle").dump(data, file, protocol=self.save_args["protocol"])

    def _dumped(self, data: Any) -> bytes:
        try:
            return pickle.dumps(data, **self.save_args)
        except (pickle.PicklingError, AttributeError, TypeError):
            dumped: bytes = library("cloudpickle").dumps(data, protocol=self.save_args["protocol"])
            return dumped
