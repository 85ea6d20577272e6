"""What builds a dataset in any process: a recipe from an entry, or the object that the user gave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from kernel.datasets.access import failed
from kernel.datasets.rebuilt import rebuilt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kernel.datasets.dataset import Dataset, Version

__all__ = ["Held", "Recipe"]


@frozen
class Recipe:
    """How to build the dataset of an entry; call it without arguments. It may be pickled.

    It carries credentials, so its repr shows neither options nor secrets.
    """

    name: str
    cls: type[Dataset]
    options: Mapping[str, Any] = field(repr=False)
    version: Version | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def __call__(self) -> Dataset:
        """Build the dataset. Raises `DatasetError` naming it, without secrets."""
        # a copy: what a constructor does to its options stays there
        options: dict[str, Any] = rebuilt(self.options, lambda _key, value: value)
        if self.version is not None:
            options["version"] = self.version
        try:
            dataset = self.cls(**options)
            if self.secrets:
                secrets = (*dataset.secrets, *self.secrets)
                object.__setattr__(dataset, "secrets", secrets)  # the class may be frozen
        except Exception as error:  # a dataset's class is foreign code and raises anything
            failure = failed(self.name, f"built as {self.cls.__name__}", self.secrets, error)
        else:
            return dataset
        raise failure


@frozen
class Held:
    """A dataset that the user gave as an object; call it to get it. It may be pickled if the object may."""

    name: str
    dataset: Dataset = field(repr=False)

    def __call__(self) -> Dataset:
        """Return the dataset."""
        return self.dataset
