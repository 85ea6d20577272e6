"""Any Python object as a pickle."""

from __future__ import annotations

import io
import pickle
from typing import IO, Any, ClassVar

from kernel.serialise import pickler
from kernel_files.file import FileDataset

__all__ = ["PickleDataset"]


class PickleDataset(FileDataset):
    """Any Python object; what `pickle` cannot write, such as lambdas, is written by value.

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
            self._by_value(data, file)

    def _dumped(self, data: Any) -> bytes:
        try:
            return pickle.dumps(data, **self.save_args)
        except (pickle.PicklingError, AttributeError, TypeError):
            file = io.BytesIO()
            self._by_value(data, file)
            return file.getvalue()

    def _by_value(self, data: Any, file: IO[bytes] | io.BytesIO) -> None:
        """Write by value, but for what the main module has under its name: another run of the script has it, too."""
        pickler(file, protocol=self.save_args["protocol"], named=True).dump(data)
