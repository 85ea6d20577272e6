"""Which code of the project this process has loaded: a worker that has loaded other code cannot run it."""

from __future__ import annotations

import os
import sys
from typing import Any

__all__ = ["Loaded"]

_STDLIB = os.path.dirname(os.__file__) + os.sep  # noqa: PTH120 - as origins have it


class Loaded:
    """The modules of the project as they were when this was made, or when they were first seen after that.

    Those of libraries are not looked at: there are many of them, and nobody edits them between two runs.
    """

    def __init__(self) -> None:
        self._specs: dict[str, Any] = {}
        self._seen: set[str] = set()
        self._note_new()

    def has_changed(self) -> bool:
        """Say whether one was loaded again since this was made, or last asked: each time it gets another spec."""
        changed: dict[str, Any] = {}
        for name, spec in self._specs.items():
            now = _spec_of(name)
            if now is not spec and now is not None:  # specs of the same file are equal
                changed[name] = now
        self._specs.update(changed)
        if len(sys.modules) != len(self._seen):
            self._note_new()
        return bool(changed)

    def _note_new(self) -> None:
        names = set(sys.modules)
        for name in names - self._seen:
            spec = _spec_of(name)
            if spec is not None and name != "__main__" and _is_own(getattr(spec, "origin", None)):
                self._specs[name] = spec
        self._seen = names


def _spec_of(name: str) -> Any:
    return getattr(sys.modules.get(name), "__spec__", None)


def _is_own(origin: object) -> bool:
    if not isinstance(origin, str) or os.sep not in origin:
        return False  # built in, frozen, or of no file
    return "-packages" + os.sep not in origin and not origin.startswith(_STDLIB)
