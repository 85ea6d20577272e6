"""Which objects are needed, and how often: equal values share one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel_objects.handles import address_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from kernel_objects.handles import Object

__all__ = ["Shelf"]


class Shelf:
    """Counts the users of each object; `unwanted` is told the names of those that nobody uses."""

    def __init__(self, unwanted: Callable[[Iterable[str]], None]) -> None:
        self._unwanted = unwanted
        self._objects: dict[str, Object] = {}
        self._users: dict[str, int] = {}

    def take(self, handle: Object) -> Object:
        """Count one more user, and return the object that it uses: the first with this content."""
        address = address_of(handle[0])
        kept = self._objects.setdefault(address, handle)
        self._users[address] = self._users.get(address, 0) + 1
        if kept[0] != handle[0]:
            self._unwanted([handle[0]])
        return kept

    def give_back(self, handles: Iterable[Object]) -> None:
        """Count one user less of each."""
        gone: list[str] = []
        for handle in handles:
            address = address_of(handle[0])
            self._users[address] -= 1
            if not self._users[address]:
                del self._users[address]
                gone.append(self._objects.pop(address)[0])
        if gone:
            self._unwanted(gone)

    def discard(self, handles: Iterable[Object]) -> None:
        """Have objects removed that were saved and not taken; one that is used is left alone."""
        kept = self._objects
        gone = [handle[0] for handle in handles if kept.get(address_of(handle[0]), ("",))[0] != handle[0]]
        if gone:
            self._unwanted(gone)

    @property
    def size(self) -> int:
        """The bytes of all objects that are used."""
        return sum([size for _, size in self._objects.values()])
