"""What each name of a pipeline stands for: a value, a dataset object, an entry of a catalog file."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, cast

from attrs import evolve

from kernel.datasets import access
from kernel.datasets.credentials import hide
from kernel.datasets.dataset import CopyMode, Dataset, Version
from kernel.datasets.declared import Declared
from kernel.datasets.memory import MemoryDataset
from kernel.datasets.names import shown
from kernel.datasets.recipe import Held
from kernel.datasets.versions import new_version, version_problems
from kernel.errors import DatasetError, ValidationError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Datasets"]

_log = logging.getLogger(__name__)


class Datasets:
    """What the names of datasets stand for, in the runner's process.

    `entries` maps names to values, which are kept in memory, and to `Dataset` objects; `from_config` reads
    the entries of a catalog file. A name that is in neither and matches no pattern lives in memory, too, but
    is not declared: `name in datasets` is False.
    """

    def __init__(self, entries: Mapping[str, Any] | None = None) -> None:
        self._objects: dict[str, Dataset] = {}
        self._declared = Declared({}, _no_types, {}, None)
        self._built: dict[str, Dataset] = {}
        self._load_versions: dict[str, str] = {}
        self._pinned: dict[str, str] = {}
        self._save_version = new_version()
        self._version_given = False
        self._version_taken = False
        for name, value in (entries or {}).items():
            self._objects[name] = _as_dataset(value)

    @classmethod
    def from_config(
        cls,
        catalog: Mapping[str, Any],
        *,
        types: Callable[[str], type[Dataset]],
        credentials: Mapping[str, Any] | None = None,
        load_versions: Mapping[str, str] | None = None,
        save_version: str | None = None,
        folder: Path | None = None,
    ) -> Datasets:
        """Read the entries of a catalog file: `name: {type: ..., option: ..., versioned: true}`.

        `types` finds the class of a `type`, `credentials` has the sections that entries name by key,
        `load_versions` maps names to versions, relative local paths under a key `filepath` are below
        `folder`. Names with a leading underscore are left out: they hold anchors. Raises `ValidationError`
        for patterns and versions that cannot be; entries are read when asked for (`check`).
        """
        self = cls()
        self._declared = Declared(catalog, types, credentials or {}, folder)
        self._load_versions = dict(load_versions or {})
        if problems := version_problems(save_version, self._load_versions, self._standing_for):
            raise ValidationError(problems)
        if save_version is not None:
            self._save_version, self._version_given = save_version, True
        return self

    @property
    def save_version(self) -> str:
        """The version under which this run saves versioned datasets."""
        return self._save_version

    def with_values(self, values: Mapping[str, Any]) -> Datasets:
        """Return a copy for one run, with values and dataset objects laid over it.

        The first copy keeps the save version; later ones get their own unless one was given, as each run
        saves one.
        """
        other = copy.copy(self)
        laid = {name: _as_dataset(value, self._declared_mode(name)) for name, value in values.items()}
        renewed = self._version_taken and not self._version_given
        vars(other).update(
            _objects={**self._objects, **laid},
            _built={},
            _pinned={},
            _save_version=new_version() if renewed else self._save_version,
            _version_taken=False,
        )
        self._version_taken = True
        return other

    def names(self) -> list[str]:
        """Return the names that are declared as such, in order; what patterns stand for cannot be listed."""
        return list({**self._declared.entries, **self._objects})

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and (name in self._objects or name in self._declared)

    def declared_among(self, names: frozenset[str]) -> frozenset[str]:
        """Return those of the names that are declared; quick where few of many are, or the same names come again."""
        objects = self._objects
        given = names.intersection(objects) if len(objects) < len(names) else objects.keys() & names
        return self._declared.among(names).union(given)

    def __getitem__(self, name: str) -> Dataset:
        """Return this process's dataset of a name. Raises `DatasetError` when it is not or badly declared."""
        built = self._built.get(name)
        return built if built is not None else self._built.setdefault(name, self.builder(name)())

    def __setitem__(self, name: str, value: Any) -> None:
        if name in self._objects or name in self._declared.entries:
            _log.warning("dataset %s is replaced", shown(name))
        self._objects[name] = _as_dataset(value, self._declared_mode(name))
        self._built.pop(name, None)
        self._pinned.pop(name, None)

    def builder(self, name: str) -> Callable[[], Dataset]:
        """Return what builds the dataset of a declared name in any process, once it is called there."""
        dataset = self._objects.get(name)
        if dataset is not None:
            return Held(name, self._versioned(name, dataset))
        if name not in self._declared:
            raise DatasetError(f"{shown(name)}: no such dataset is declared{self._suggestion(name)}")
        recipe, versioned, problems = self._declared.read(name)
        if recipe is None:
            raise DatasetError("; ".join(problems))
        return evolve(recipe, version=self._version(name)) if versioned else recipe

    def check(self, names: Iterable[str]) -> list[str]:
        """Return all that is wrong with the entries of these names, a line each; undeclared is not wrong."""
        problems: list[str] = []
        for name in dict.fromkeys(names):
            if name in self._objects or name not in self._declared:
                continue
            _, versioned, wrong = self._declared.read(name)
            problems += wrong or self._unbuildable(name)
            if not wrong and not versioned and self._load_version(name) is not None:
                problems.append(f"{shown(name)}: a load version is given for it, but it is not 'versioned'")
        return problems

    def _unbuildable(self, name: str) -> list[str]:
        if name not in self._declared.sound:
            try:
                self[name]
            except DatasetError as error:
                return [str(error)]
            self._declared.sound.add(name)
        return []

    def is_persistent(self, name: str) -> bool:
        """Say whether the name is declared and lives outside memory; True if its entry is too bad to tell."""
        if name in self._objects:
            return not self._objects[name].in_memory
        if name not in self._declared:
            return False
        recipe = self._declared.read(name)[0]
        return recipe is None or not recipe.cls.in_memory

    def has_value(self, name: str) -> bool:
        """Say whether the name lives in memory and has a value already."""
        return name in self and not self.is_persistent(name) and self[name].exists()

    def value(self, name: str) -> Any:
        """Return the value of a name that has one: the very object, no copy. Raises `DatasetError`."""
        dataset = self[name]
        try:
            return dataset.original() if isinstance(dataset, MemoryDataset) else dataset.load()
        except DatasetError as error:
            failure = access.failed(name, "loaded", dataset.secrets, error)
        raise failure

    def copy_mode(self, name: str) -> CopyMode | None:
        """Return how readers of this name get their value, if the user chose; None: its type decides."""
        if name not in self or self.is_persistent(name):
            return None
        return getattr(self[name], "copy_mode", None)

    def pin(self, names: Iterable[str]) -> None:
        """Settle which version of each of these is loaded from now on: the newest, unless one was named.

        Called once a run, so that all workers load the same even while somebody saves another. What has no
        version yet is left open.
        """
        for name in names:
            self._pinned.pop(name, None)
            self._built.pop(name, None)
            if not self.is_persistent(name) or self.check([name]):
                continue
            dataset = self[name]
            if dataset.version is not None and dataset.version.load is None:
                newest = self._newest(name, dataset)
                if newest is not None:
                    self._pinned[name] = newest
                    del self._built[name]

    def describe(self, name: str) -> str:
        """Say where the dataset is, without secrets."""
        if name not in self:
            return "memory"
        dataset = self[name]
        return hide(dataset.describe(), dataset.secrets)

    def load(self, name: str) -> Any:
        """Load the dataset of a declared name. Raises `DatasetError`."""
        return access.load(name, self[name])

    def save(self, name: str, data: Any) -> None:
        """Save to the dataset of a declared name. Raises `DatasetError`."""
        self._version_taken = True
        access.save(name, self[name], data)

    def exists(self, name: str) -> bool:
        """Say whether the name is declared and there is something to load. Raises `DatasetError`."""
        return name in self and access.exists(name, self[name])

    def _newest(self, name: str, dataset: Dataset) -> str | None:
        try:
            return dataset.newest_version()
        except Exception as error:  # a dataset is foreign code and raises anything
            failure = access.failed(name, "looked for", dataset.secrets, error)
        raise failure

    def _standing_for(self, name: str) -> Iterator[str]:
        """Yield the declared names that one given by the user stands for: itself, or all its transcodings."""
        if name in self:
            yield name
        yield from (each for each in self.names() if each.partition("@")[0] == name != each)

    def _load_version(self, name: str) -> str | None:
        base = name.partition("@")[0]
        return self._pinned.get(name) or self._load_versions.get(name) or self._load_versions.get(base)

    def _version(self, name: str) -> Version:
        return Version(self._load_version(name), self._save_version)

    def _versioned(self, name: str, dataset: Dataset) -> Dataset:
        """Return a user's dataset object with the versions of this run where it left them open."""
        version = dataset.version
        if version is None or (version.save and (version.load or name not in self._pinned)):
            return dataset
        settled = copy.copy(dataset)
        settled.version = Version(version.load or self._pinned.get(name), version.save or self._save_version)
        return settled

    def _declared_mode(self, name: str) -> CopyMode | None:
        """Return the copy mode that stands in the entry over which a value is laid."""
        entry = self._declared.entries.get(name)
        return cast("Mapping[str, Any]", entry).get("copy_mode") if isinstance(entry, Mapping) else None

    def _suggestion(self, name: str) -> str:
        import difflib  # noqa: PLC0415 - needed on the way to an error only

        near = difflib.get_close_matches(name, self.names(), 3)
        return f"; did you mean {' or '.join(map(shown, near))}?" if near else ""


def _as_dataset(value: Any, mode: CopyMode | None = None) -> Dataset:
    return value if isinstance(value, Dataset) else MemoryDataset(value, mode)


def _no_types(name: str) -> type[Dataset]:
    raise DatasetError(f"there is no dataset type {name!r} here")
