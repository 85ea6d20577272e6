"""A catalog under test and its store, as a run has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import define, field

if TYPE_CHECKING:
    from kernel.specs.catalog import Catalog, CopyMode, Handle, Store
    from kernel.specs.executor import Reach

__all__ = ["BIG", "Opened"]

#: The kind of value that is too large to travel inside a handle where a catalog makes that difference.
BIG = "bytes of 8 MB"


@define(eq=False)
class Opened:
    """A catalog under test with its store in this process, as a run has them."""

    catalog: Catalog
    reach: Reach
    copy_modes: Mapping[str, CopyMode] = field(factory=dict[str, "CopyMode"])
    store: Store = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.store = self.catalog.open(self.copy_modes, self.reach, 2)

    def keep(self, name: str, value: Any) -> Handle:
        """Save a value and have the catalog adopt it."""
        handle = self.store.save(name, value)
        self.catalog.adopt([name], [handle])
        return handle

    def get(self, name: str, *, last: bool = False) -> Any:
        """Load a value that the catalog keeps."""
        return self.store.load(name, self.catalog.handle(name), last)
