"""Tables as spreadsheets."""

from __future__ import annotations

import io
from typing import IO, Any, ClassVar, cast

from kernel.errors import DatasetError
from kernel_files.file import FileDataset
from kernel_files.library import library

__all__ = ["ExcelDataset"]


class ExcelDataset(FileDataset):
    """A pandas frame, or a mapping of sheet names to frames.

    The arguments are those of `pandas.read_excel` and `DataFrame.to_excel`; `load_args: {sheet_name: null}`
    loads all sheets. The index is not saved unless `save_args` asks for it.
    """

    save_defaults: ClassVar = {"index": False}

    def read(self, file: IO[bytes]) -> Any:
        """Return the frame, or the frames by sheet."""
        if "engine" not in self.load_args:
            library("openpyxl")
        pd = library("pandas")
        return pd.read_excel(file, **self.load_args)

    def write(self, data: Any, file: IO[bytes]) -> None:
        """Write the frame, or the frames by sheet."""
        pd = library("pandas")
        whole = io.BytesIO()  # the writer goes back and forth, which remote files cannot
        args = dict(self.save_args)
        sheets = cast("dict[str, Any]", data) if isinstance(data, dict) else {args.pop("sheet_name", "Sheet1"): data}
        for sheet in sheets.values():  # a writer that has no sheet to close with leaves its archive open
            if not hasattr(sheet, "to_excel"):
                raise DatasetError(
                    f"takes a pandas frame, or a mapping of names to frames, not a {type(sheet).__name__}"
                )
        with pd.ExcelWriter(whole, engine=args.pop("engine", "openpyxl")) as writer:
            for name, frame in sheets.items():
                frame.to_excel(writer, sheet_name=name, **args)
        file.write(whole.getbuffer())
