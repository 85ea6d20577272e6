"""How stevedore loads one plugin: the entry point comes from the kernel's own scan.

stevedore keeps its list of entry points in a file that goes stale after a reinstall; so `list_entry_points`, which is
there to be overridden, answers without it.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, NoReturn

from stevedore import DriverManager

if TYPE_CHECKING:
    from kernel.plugins.entries import Entry

    _Base = DriverManager[Any]
else:
    _Base = DriverManager  # older ones are not generic

__all__ = ["Driver"]


class Driver(_Base):
    """Imports what one entry point stands for, and nothing else; raises whatever the import raises."""

    def __init__(self, entry: Entry) -> None:
        self._entry = EntryPoint(entry.name, entry.value, entry.group)
        super().__init__(entry.group, entry.name, on_load_failure_callback=_raise)

    def list_entry_points(self) -> list[EntryPoint]:
        """Return the entry point that was chosen."""
        return [self._entry]


def _raise(_manager: Any, _entry: EntryPoint, error: BaseException) -> NoReturn:
    raise error
