"""What listeners to one node may look at: its inputs, and the persistent datasets of the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from attrs import frozen

from kernel.datasets.access import load as load_dataset
from kernel.errors import DatasetError

if TYPE_CHECKING:
    from kernel.datasets import Dataset

__all__ = ["TurnCatalog"]


@frozen
class TurnCatalog:
    """What node hooks get as `catalog`: the inputs of this node and the persistent datasets of the run; read only."""

    _values: Mapping[str, Any]
    _dataset: Callable[[str], Dataset]
    _declared: Mapping[str, Any]

    def load(self, name: str) -> Any:
        """Return an input as the node gets it, or load a persistent dataset. Raises DatasetError for other names."""
        if name in self._values:
            return self._values[name]
        if name in self._declared:
            return load_dataset(name, self._dataset(name))
        raise DatasetError(f"{name}: a listener to a node sees the node's inputs and the persistent datasets only")

    def exists(self, name: str) -> bool:
        """Say whether `load` would find something."""
        return name in self._values or (name in self._declared and self._dataset(name).exists())

    def keys(self) -> Sequence[str]:
        """List the names that can be asked for."""
        return sorted({*self._values, *self._declared})

    def __contains__(self, name: object) -> bool:
        return name in self._values or name in self._declared
