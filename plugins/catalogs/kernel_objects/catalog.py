"""The runner's half: it knows which value is where, what nobody needs any more, and what the next run could use."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Collection
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kernel.errors import ConfigError, DatasetError, ValidationError
from kernel.processes import Home
from kernel.specs.catalog import Found
from kernel.specs.executor import Reach
from kernel.values import pickling
from kernel_objects.clerk import Clerk
from kernel_objects.handles import is_object
from kernel_objects.index import INDEX, Index, read_index, write_index
from kernel_objects.options import parse_flag, parse_keep, parse_run, parse_size, parse_storage
from kernel_objects.place import find_place
from kernel_objects.shelf import Shelf
from kernel_objects.store import ObjectsStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from kernel.specs.catalog import CopyMode, Handle
    from kernel_objects.options import Keep
    from kernel_objects.place import Folder

__all__ = ["ObjectsCatalog"]

_log = logging.getLogger("kernel")

#: A value of up to this many bytes travels inside its handle. Engines on other machines keep handles of more than
#: 16 KiB with their workers, and then such a value would be lost with one.
_ABOVE, _ABOVE_FAR = 64 * 1024, 16 * 1024


class ObjectsCatalog:
    """Keeps large values as objects in a folder of the run: in an object store, or in a file system all machines share.

    Objects are named by their content, and equal values share one. Each reader gets memory of its own (copy modes make
    no difference but for "readonly", and "assign" where workers are threads). What nobody needs any more is removed
    while the run goes on, and the folder with the last free output.

    Options:

    `url`: a folder, or a URL that fsspec knows; each run makes a folder there.
    `above`: values of more bytes than this become objects ("64KB", a number; 0: all); by default 64 KiB, or 16 KiB
    where workers may be on other machines.
    `keep`: when the folder stays: after a "failure" (and when the run is interrupted or killed), "never" or "always".
    `resume`: the folder of a run to go on with.
    `trust_others`: go on with a folder that other users own or may write to, too: what is in it is unpickled.
    `storage`: the options of fsspec's file system, such as credentials; or each by itself as `storage.NAME`.
    """

    def __init__(
        self,
        *,
        url: str | Path | None = None,
        above: int | str | None = None,
        keep: Keep = "failure",
        resume: str | None = None,
        trust_others: bool | str = False,
        storage: Mapping[str, Any] | None = None,
        **dotted: Any,
    ) -> None:
        self._place = find_place(url, parse_storage(storage, dotted))
        self._above = parse_size(above)
        self._keep = parse_keep(keep)
        self.saves_all = self._keep != "never"
        self._resume = parse_run(resume)
        self._trusts_others = parse_flag("trust_others", trust_others)
        self._run = self._resume or f"run-{datetime.now(UTC):%Y-%m-%dT%H.%M.%S}-{secrets.token_hex(4)}"
        self._found: Index | None = None
        self._handles: dict[str, Handle] = {}
        self._prepared: dict[str, pickling.Dumped] = {}
        #: The names that had values before the run: no reason to keep it.
        self._given: Collection[str] = ()
        self._has_made = False
        self._done: Callable[[], Collection[str]] = tuple[str, ...]
        self._folder: Folder | None = None
        self._settled = False
        self._home = Home()
        self._clerk: Clerk | None = None
        self._shelf = Shelf(self._drop)

    # -- before the run -------------------------------------------------------------------------------------------

    def found(self) -> Found | None:
        """Read what the run left that this one goes on with; raises `ConfigError` when that cannot be."""
        if self._resume is None:
            return None
        self._found = read_index(self._place, self._resume, trusts_others=self._trusts_others)
        return Found(self._found.nodes, self._found.values)

    def validate_catalog(
        self,
        names: Sequence[str],
        values: Mapping[str, Any],
        reach: Reach,
        readers: Mapping[str, Sequence[str]],
    ) -> None:
        """Raise one `ValidationError` with every free input that cannot be serialised, or for a place out of reach."""
        del names  # what nodes will make cannot be known before they run
        self._given = values.keys()
        if reach is Reach.THREAD:
            return
        if self._place.protocol == "memory":
            raise ValidationError(["catalog 'objects': what is in memory:// only this process sees; take another url"])
        self._prepared = pickling.prepare(values, readers)

    def open(self, copy_modes: Mapping[str, CopyMode], reach: Reach, workers: int) -> ObjectsStore:
        """Make the run's folder; raises `ConfigError` when nothing can be written or read there."""
        del workers
        if self._resume is not None and self._found is None:
            self.found()
        index = self._found or Index(self._run)
        self._done = lambda: index.nodes
        self._folder = self._make_folder(Index(self._run, nodes=index.nodes, values=index.values))
        self._clerk = Clerk(self._place, self._folder, None if self._keep == "never" else self._index)
        above = self._above
        if above is None:
            above = _ABOVE if reach < Reach.MACHINE else _ABOVE_FAR
        shares = reach is Reach.THREAD
        return ObjectsStore(self._place, self._run, above, copy_modes, shares=shares, prepared=self._prepared)

    def _make_folder(self, index: Index) -> Folder:
        try:
            folder = self._place.folder(self._run)
            folder.make()
            write_index(folder, index)
            folder.read(INDEX)
        except Exception as error:  # a file system raises anything
            where, told = self._place.shown(self._run), self._place.told(error)
        else:
            return folder
        # Out here, since the cause may tell a secret.
        raise ConfigError(f"catalog 'objects': {where} cannot be written and read: {told}")

    def follow(self, done: Callable[[], Collection[str]]) -> None:
        """Keep what tells the nodes that are done, for the index."""
        self._done = done

    # -- during the run -------------------------------------------------------------------------------------------

    def handle(self, name: str) -> Handle:
        """Return the handle of a value that was adopted; raises `DatasetError` when there is none."""
        try:
            return self._handles[name]
        except KeyError:
            raise DatasetError(f"{name}: no value in memory; it was never saved, or is released already") from None

    def adopt(self, names: Iterable[str], handles: Iterable[Handle]) -> None:
        """Take over what was saved; a handle that was there under the name is dropped."""
        own = self._handles
        superseded: list[Any] = []
        for name, handle in zip(names, handles, strict=True):
            if name in own and is_object(own[name]):
                superseded.append(own[name])
            own[name] = self._shelf.take(handle) if is_object(handle) else handle
            if not self._has_made and name not in self._given:
                self._has_made = True
        self._shelf.give_back(superseded)
        self._note()

    def release(self, names: Iterable[str]) -> None:
        """Drop values that nobody will read again."""
        gone = [self._handles.pop(name) for name in names if name in self._handles]
        self._shelf.give_back(filter(is_object, gone))
        self._note()

    def discard(self, handles: Iterable[Handle]) -> None:
        """Drop values that were saved but are not wanted; what was dropped already is left alone."""
        self._shelf.discard(filter(is_object, handles))

    def worker_lost(self, worker: int) -> None:
        """Leave what a dead worker wrote and told nobody: it goes with the folder."""

    # -- after the run --------------------------------------------------------------------------------------------

    def settle(self, keep: Iterable[str]) -> None:
        """Keep these values, drop all else; without any the folder is removed, unless it is always to stay."""
        kept = set(keep)
        self.release([name for name in self._handles if name not in kept])
        self._prepared.clear()
        self._settled = True
        if self._clerk is None or not self._home.is_here:
            return
        if self._keep == "always":
            self._clerk.finish(self._index(ended=True))
        elif not self._handles:
            self.close()
        else:
            self._drop([INDEX])
            self._clerk.finish(None)

    def close(self) -> None:
        """Drop everything, unless the run ended badly and its values are to stay for another."""
        if not self._home.is_here:
            return  # a fork's copy
        folder, self._folder = self._folder, None
        clerk, self._clerk = self._clerk, None
        if folder is not None and clerk is not None:
            if self._stays:
                if not self._settled:
                    clerk.finish(self._index(ended=True))
                    _log.warning(
                        "The values of this run stay in %s. To go on with them, repeat it with the catalog option "
                        "resume=%s; else remove that folder.",
                        self._place.shown(self._run),
                        self._run,
                    )
            else:
                clerk.stop()
                self._remove(folder)
            folder.close()
        self._handles.clear()
        self._prepared.clear()

    def resume_options(self) -> Mapping[str, str]:
        """Return what names this run to another, if its values would stay."""
        return {"resume": self._run} if self._stays else {}

    @property
    def _stays(self) -> bool:
        if self._keep == "failure":
            return not self._settled and (self._has_made or self._resume is not None)
        return self._keep == "always"

    def _remove(self, folder: Folder) -> None:
        try:
            folder.remove_all()
        except Exception as error:  # a file system raises anything
            where, told = self._place.shown(self._run), self._place.told(error)
            _log.warning("%s is needed no more, but cannot be removed: %s", where, told)

    def memory_in_use(self) -> int:
        """Return the bytes of the objects that are needed."""
        return self._shelf.size

    def _index(self, *, ended: bool = False) -> Index:
        values = dict(self._handles)  # first these, then the nodes: so what other nodes need is among them
        return Index(self._run, ended, self._done(), values)

    def _note(self) -> None:
        if self._clerk is not None and self._home.is_here:
            self._clerk.note()

    def _drop(self, names: Iterable[str]) -> None:
        if self._clerk is not None and self._home.is_here:
            self._clerk.drop(names)
