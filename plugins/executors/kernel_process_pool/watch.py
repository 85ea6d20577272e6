"""Sees which libraries a project imports, at the moment when it does."""

from __future__ import annotations

import sys
from _thread import RLock
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from inspect import currentframe
from types import FrameType, ModuleType

from kernel.processes import Home
from kernel_process_pool.libraries import is_from_a_library, is_installed

__all__ = ["LibraryWatch"]

#: Between a statement and this finder.
_PASSED = (__name__, "importlib", "importlib._bootstrap", "importlib._bootstrap_external")


class LibraryWatch:
    """Tells of each module of an installed distribution, when a module of the project is about to import it.

    It is asked first of all finders, and finds nothing. `tell` says whether it could take in what it was told.
    """

    def __init__(self, tell: Callable[[str], bool]) -> None:
        self._tell = tell
        self._home = Home()
        self._telling = RLock()  # threads import, too; and a signal's handler, in between
        self._is_inside = False
        self._is_over = False
        #: What was told of, in order.
        self.loaded: list[str] = []
        #: Something could not be told, or not as a whole.
        self.is_broken = False

    def begin(self) -> None:
        """See what is imported from now on."""
        sys.meta_path = [self, *sys.meta_path]

    def end(self) -> None:
        """See no more."""
        with self._telling:
            self._is_over = True
        # Another list: a thread that imports just now goes on in the old one, and misses no finder.
        sys.meta_path = [finder for finder in sys.meta_path if finder is not self]

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Look who wants to import what; return None, as every finder does that knows nothing of a module."""
        del target
        if not (self._is_over or self.is_broken) and self._home.is_here and not _is_librarys(currentframe()):
            spec = PathFinder.find_spec(name, path)
            if spec is not None and spec.origin is not None and is_from_a_library(spec.origin):
                with self._telling:
                    self._note(name)
        return None

    def _note(self, name: str) -> None:
        if self._is_over:
            return
        if self._is_inside:  # a signal's handler imports in the middle of what is being told
            self.is_broken = True
            return
        self._is_inside, was_told = True, False
        try:
            self.loaded.append(name)
            was_told = self._tell(name)
        finally:
            self._is_inside = False
            self.is_broken |= not was_told


def _is_librarys(frame: FrameType | None) -> bool:
    """Say whether a module is imported by a library, which will be loaded with all that it imports itself."""
    while frame is not None:
        importer = frame.f_globals.get("__name__")
        if importer not in _PASSED:
            return not isinstance(importer, str) or (importer != "__main__" and is_installed(importer))
        frame = frame.f_back
    return True
