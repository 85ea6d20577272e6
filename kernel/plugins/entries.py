"""Entry points as distributions declare them, read from where `importlib.metadata` reads them, without that module.

It takes as long to load as the interpreter to start, and a third of a short command. So the folders on the search path
are looked through here, as it looks them through; where there is anything else to look through, an archive or a finder
that brings distributions of its own, it is asked itself.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from importlib import import_module
from importlib.machinery import PathFinder
from typing import TYPE_CHECKING, Any

from attrs import frozen

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

__all__ = ["Entry", "read_entries"]

_ENDINGS = (".dist-info", ".egg-info")
#: What is read of a distribution's description: its name is in the first lines.
_HEAD = 4096


@frozen
class Entry:
    """One entry point. `folder` is where its distribution is described; empty where that is no folder."""

    group: str
    name: str
    value: str
    distribution: str
    folder: str

    @property
    def module(self) -> str:
        """The module that it names."""
        return self.value.partition("[")[0].partition(":")[0].strip()

    @property
    def attribute(self) -> str:
        """What it names in the module, dots in between; empty for the module itself."""
        return self.value.partition("[")[0].partition(":")[2].strip()

    @property
    def dist(self) -> Distribution | None:
        """All that the distribution says of itself; None where that is in no folder."""
        from importlib.metadata import PathDistribution  # noqa: PLC0415 - a run has no use for it
        from pathlib import Path  # noqa: PLC0415 - as above

        return PathDistribution(Path(self.folder)) if self.folder else None

    def load(self) -> Any:
        """Import what it names; raises whatever the import raises."""
        found: Any = import_module(self.module)
        for name in filter(None, self.attribute.split(".")):
            found = getattr(found, name)
        return found


def read_entries(groups: Collection[str]) -> list[Entry]:
    """Return the entry points of these groups; of several distributions of one name the first on the path counts."""
    if _are_all_folders(sys.path) and not any(map(_brings_distributions, sys.meta_path)):
        return [entry for folder in _described(sys.path) for entry in _declared(folder, groups)]
    from importlib.metadata import entry_points  # noqa: PLC0415 - see above

    found = entry_points()
    return [_taken_over(entry) for group in groups for entry in found.select(group=group)]


def _taken_over(entry: EntryPoint) -> Entry:
    distribution = entry.dist
    name = (distribution.name if distribution is not None else "") or ""
    return Entry(entry.group, entry.name, entry.value, name, str(getattr(distribution, "_path", "")))


def _are_all_folders(path: Iterable[object]) -> bool:
    return all(
        isinstance(each, str) and not each.endswith(".egg") and not os.path.isfile(each)  # noqa: PTH113 - as it stands
        for each in path
    )


def _brings_distributions(finder: object) -> bool:
    return finder is not PathFinder and hasattr(finder, "find_distributions")


def _described(path: Iterable[str]) -> Iterator[str]:
    """Yield the folder, or file, that describes each distribution."""
    seen: set[str] = set()
    for place in path:
        children: list[str] = []
        with suppress(OSError):
            children = os.listdir(place or ".")  # noqa: PTH208 - in the order in which the system has them
        for child in children:
            if child.lower().endswith(_ENDINGS):
                name = _normal(child.rpartition(".")[0].partition("-")[0])
                if name not in seen:
                    seen.add(name)
                    yield f"{place or '.'}/{child}"


def _declared(folder: str, groups: Collection[str]) -> Iterator[Entry]:
    text = _read(f"{folder}/entry_points.txt")
    if not any(f"[{group}]" in text for group in groups):
        return
    distribution, group = _name(folder), ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("[") and line.endswith("]"):
            group = line[1:-1]
        elif group in groups and line and not line.startswith("#"):
            name, _, value = line.partition("=")
            yield Entry(group, name.strip(), value.strip(), distribution, folder)


def _name(folder: str) -> str:
    for file in ("METADATA", "PKG-INFO"):
        for line in _read(f"{folder}/{file}", _HEAD).splitlines():
            if line.lower().startswith("name:"):
                return line[5:].strip()
    return ""


def _read(file: str, most: int = -1) -> str:
    with suppress(OSError), open(file, "rb") as opened:  # noqa: PTH123 - pathlib takes long to load
        return opened.read(most).decode("utf-8", "replace")
    return ""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
