"""The contract of a dataset: one named thing that can be loaded and saved."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from attrs import field, frozen

__all__ = ["CopyMode", "Dataset", "Version"]

#: How a reader gets its own value: a shallow copy, a deep copy, the very object, or the object made
#: read-only. Where None stands for it, the value's type decides.
CopyMode = Literal["copy", "deepcopy", "assign", "readonly"]


@frozen
class Version:
    """Which version of a versioned dataset to read and to write.

    `load` is the one to read (None: the newest there is), `save` the one that this run writes.
    """

    load: str | None = None
    save: str = field(default="")


class Dataset(ABC):
    """One named thing with `load`, `save`, `exists` and `release`; subclass it to add a dataset type.

    A type that is named in a catalog file is built as `cls(**options)` with the entry's keys, in each
    process that needs it: keep clients and open files out of `__init__`. A type that can keep versions
    takes `version: Version`.
    """

    #: True for values that live in memory only: the catalog plugin keeps and moves those, not `load` and
    #: `save`.
    in_memory: ClassVar[bool] = False
    #: True when it may only be used in the process of the runner (an open connection, say).
    single_process: ClassVar[bool] = False
    #: The version it reads and writes; None when it keeps none.
    version: Version | None = None
    #: Texts that no message may show; set from the credentials of the dataset's entry.
    secrets: tuple[str, ...] = ()

    @abstractmethod
    def load(self) -> Any:
        """Return the data; the caller may change what it gets. Raises `DatasetError` when there is none."""

    @abstractmethod
    def save(self, data: Any) -> None:
        """Keep the data, whole or not at all: who reads meanwhile sees the old or the new."""

    def exists(self) -> bool:
        """Say whether there is something to load."""
        return False

    def release(self) -> None:  # noqa: B027 - most types cache nothing
        """Drop what is cached: nobody needs it in this run any more, or it was written anew elsewhere."""

    def newest_version(self) -> str | None:
        """Say which version is loaded when none is named; None when there is none, or none are kept."""
        return None

    def confirm_token(self) -> Any:
        """Say what was loaded last, in a form that can be pickled; the runner hands it to `confirm`."""
        return None

    def confirm(self, token: Any) -> None:
        """Note that what `token` stands for has been dealt with. Types that keep no checkpoint refuse it."""
        raise TypeError(f"a {type(self).__name__} keeps no checkpoint, so it cannot be confirmed")

    def describe(self) -> str:
        """Say in a few words where the data is, without secrets; shown in summaries and errors."""
        return type(self).__name__
