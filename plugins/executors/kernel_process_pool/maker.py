"""The process that makes workers, as a pool has it: started with the first worker, or ahead, while a project loads.

Ahead it has nothing to do but to load what the runner loads: both import the libraries of a project at the same time,
where the server would else begin when the runner is done. Where it has loaded what the run would not have loaded, or
lacks what it would have of the runner if it were started now, it is ended, and another one starts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from kernel_process_pool.inherited import handed_down
from kernel_process_pool.launchers import Launcher
from kernel_process_pool.libraries import unused_by
from kernel_process_pool.stacks import Stacks
from kernel_process_pool.watch import LibraryWatch

__all__ = ["Maker"]


class Maker:
    """A launcher, and the file for the stacks of its workers. Raises what `Launcher` raises."""

    def __init__(self, method: str) -> None:
        self._method = method
        self.stacks = Stacks()
        try:
            self.launcher = Launcher(method, self.stacks.fd)
        except BaseException:
            self.stacks.close()
            raise
        self._watch: LibraryWatch | None = None
        self._variables: Mapping[str, str] = {}
        self._handed_down: tuple[Any, ...] = ()

    def start_ahead(self, variables: Mapping[str, str], *, loading: bool) -> None:
        """Start the server before there is a run; `loading`: it loads the libraries that a project imports then."""
        with suppress(OSError):  # where there is no room for it now, the run will find room or say that there is none
            self.launcher.start_ahead(variables)
            self._variables, self._handed_down = variables, handed_down()
            if loading and self._method == "forkserver":
                self._watch = LibraryWatch(lambda module: self.launcher.load(module, variables))
                self._watch.begin()

    def is_fit_for(self, modules: Sequence[str], own: Sequence[str], variables: Mapping[str, str]) -> bool:
        """Say whether the server, if it was started ahead, has loaded nothing but what these modules load, too.

        `own` are modules of the project, which are for workers alone.
        """
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.end()
        if self._handed_down and self._handed_down != handed_down():
            return False
        if watch is None or not watch.loaded:
            return True
        if watch.is_broken:
            return False
        if variables != self._variables and "numba" in sys.modules:
            return False  # its most threads are for good; other libraries can be told of another number
        return not unused_by(watch.loaded, modules, own)

    def begin(self, modules: Sequence[str], variables: Mapping[str, str]) -> None:
        """Have the server, and each that takes its place, load what workers need, with these variables.

        One that was started ahead keeps to the variables that it has loaded libraries with. Its workers put the right
        ones in force, by calls of the libraries (`kernel_process_pool.threads.cap`), which tell by the old ones that a
        library has the number that it was given, and not one that the user chose.
        """
        self.launcher.begin(modules, self._variables or variables)

    def discard(self) -> None:
        """End a server that has made no worker yet, at once."""
        if self._watch is not None:
            self._watch.end()
        self.launcher.discard()
        self.stacks.close()

    def close(self) -> None:
        """End the server and what is left of its workers."""
        self.launcher.close()
        self.stacks.close()
