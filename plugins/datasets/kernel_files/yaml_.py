"""YAML documents."""

from __future__ import annotations

from typing import IO, Any, ClassVar

import yaml

from kernel_files.file import FileDataset

__all__ = ["YAMLDataset"]


class YAMLDataset(FileDataset):
    """A YAML document in UTF-8 of plain data: tags that would build objects are refused, both ways."""

    save_defaults: ClassVar = {"sort_keys": False, "allow_unicode": True}

    def read(self, file: IO[bytes]) -> Any:
        """Return the document."""
        return yaml.safe_load(file)

    def write(self, data: Any, file: IO[bytes]) -> None:
        """Write the document; `save_args` are those of `yaml.safe_dump`."""
        args: dict[str, Any] = {"encoding": "utf-8", **self.save_args}
        yaml.safe_dump(data, file, **args)  # pyright: ignore[reportUnknownMemberType] - some releases of its types are partial
