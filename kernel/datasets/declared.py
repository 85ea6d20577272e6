"""The entries of a catalog file: found by name or pattern, checked, and turned into recipes."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from kernel.datasets.credentials import hide, with_credentials
from kernel.datasets.names import is_parameter, shown
from kernel.datasets.patterns import Pattern, filled, is_pattern, pattern_problems, sorted_patterns
from kernel.datasets.rebuilt import rebuilt
from kernel.datasets.recipe import Recipe
from kernel.errors import KernelError, ValidationError

if TYPE_CHECKING:
    from kernel.datasets.dataset import Dataset

__all__ = ["Declared"]

_log = logging.getLogger(__name__)
#: Keys of an entry that are not options of its type: `metadata` is for readers of the file alone.
_OWN_KEYS = frozenset({"type", "versioned", "metadata"})


class Declared:
    """The entries of a catalog file. They are read when asked for; the form of patterns, at once."""

    def __init__(
        self,
        catalog: Mapping[str, Any],
        types: Callable[[str], type[Dataset]],
        credentials: Mapping[str, Any],
        folder: Path | None,
    ) -> None:
        entries = {name: entry for name, entry in catalog.items() if not name.startswith("_")}
        self.entries = {name: entry for name, entry in entries.items() if not is_pattern(name)}
        self._forms = {name: entry for name, entry in entries.items() if is_pattern(name)}
        self._patterns = sorted_patterns(self._forms)
        if problems := pattern_problems(self._patterns):
            raise ValidationError(problems)
        self._types = types
        self._credentials = credentials
        self._folder = folder
        self._read: dict[str, tuple[Recipe | None, bool, list[str]]] = {}
        #: The names of which one was built already: runs of the same entries need not try again.
        self.sound: set[str] = set()
        self._among: tuple[frozenset[str], frozenset[str]] = frozenset(), frozenset()

    def __contains__(self, name: str) -> bool:
        return name in self.entries or (bool(self._patterns) and self._match(name) is not None)

    def among(self, names: frozenset[str]) -> frozenset[str]:
        """Return those of the names that are declared; the last answer is kept, for the next run of a pipeline."""
        if self._among[0] is not names:
            found = filter(self.__contains__, names) if self._patterns else names & self.entries.keys()
            self._among = names, frozenset(found)
        return self._among[1]

    def read(self, name: str) -> tuple[Recipe | None, bool, list[str]]:
        """Read the entry of a declared name.

        Returns its recipe (None if there is no making one), whether it is versioned, and all that is wrong
        with it, a line each.
        """
        if name not in self._read:
            problems: list[str] = []
            recipe, versioned = self._recipe(name, problems)
            lines = [f"{shown(name)}: {problem}" for problem in dict.fromkeys(problems)]
            self._read[name] = (None if lines else recipe, versioned, lines)
        return self._read[name]

    def _match(self, name: str) -> tuple[Pattern, dict[str, str]] | None:
        if is_parameter(name):
            return None
        for each in self._patterns:
            if (values := each.match(name)) is not None:
                return each, values
        return None

    def _entry(self, name: str, problems: list[str]) -> dict[str, Any] | None:
        """Return a copy of what is declared for the name, its placeholders replaced."""
        matched = None if name in self.entries else self._match(name)
        entry = self._forms[matched[0].text] if matched else self.entries[name]
        if not isinstance(entry, Mapping):
            problems.append(f"an entry is a mapping with a 'type', not a {type(entry).__name__}")
            return None
        entry = cast("Mapping[str, Any]", entry)
        if matched is None:
            return dict(entry)
        if matched[0].catches_all:
            _log.warning("%s is made by the pattern %r, which matches every name", shown(name), matched[0].text)
        return filled(entry, *matched, problems)

    def _recipe(self, name: str, problems: list[str]) -> tuple[Recipe | None, bool]:
        entry = self._entry(name, problems)
        if entry is None:
            return None, False
        secrets: set[str] = set()
        entry = with_credentials(entry, self._credentials, problems, secrets)
        versioned = entry.get("versioned", False)
        if not isinstance(versioned, bool):
            problems.append(f"'versioned' is true or false, not a {type(versioned).__name__}")
            versioned = False
        cls = self._type(entry.get("type"), tuple(secrets), problems)
        if cls is None:
            return None, versioned
        placed = rebuilt(entry, self._placed)
        options = {key: value for key, value in placed.items() if key not in _OWN_KEYS}
        _check_options(cls, options, versioned=versioned, problems=problems)
        return Recipe(name, cls, options, None, tuple(sorted(secrets))), versioned

    def _type(self, named: object, secrets: tuple[str, ...], problems: list[str]) -> type[Dataset] | None:
        if not isinstance(named, str):
            problems.append("its 'type' is missing" if named is None else "its 'type' is not a text")
            return None
        try:
            return self._types(named)
        except Exception as error:  # a plugin's import raises anything
            text = str(error) if isinstance(error, KernelError) else f"{type(error).__name__}: {error}"
            problems.append(hide(f"its type {named!r} cannot be had: {text}", secrets))
            return None

    def _placed(self, key: str, value: Any) -> Any:
        """Make a relative local path under the key `filepath` absolute."""
        if self._folder is None or key != "filepath" or not isinstance(value, str | Path):
            return value
        if "://" in str(value) or "::" in str(value):
            return value
        return os.path.normpath(self._folder.absolute() / value)


def _check_options(cls: type[Dataset], options: Mapping[str, Any], *, versioned: bool, problems: list[str]) -> None:
    """Add a line to `problems` where the class does not take the options; their values are not looked at."""
    try:
        signature = inspect.signature(cls)
    except (TypeError, ValueError):  # a class written in C may hide its signature: building it will tell
        return
    takes_version = "version" in signature.parameters
    if versioned and not takes_version:
        problems.append(f"it is 'versioned', but a {cls.__name__} keeps no versions")
    elif "version" in options:
        problems.append("'version' is no option: write 'versioned: true', and name the version to load for a run")
    try:
        given = {key: None for key in options if key != "version"}
        signature.bind(**given, **({"version": None} if versioned and takes_version else {}))
    except TypeError as error:
        problems.append(f"a {cls.__name__} does not take its options: {error}")
