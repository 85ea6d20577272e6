"""What stands for the runner's main module in a worker: it has what the script defines, under its name."""

from __future__ import annotations

import builtins
import io
import linecache
import pickle
import sys
from importlib.machinery import ModuleSpec
from threading import RLock
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kernel.values import main_module, rebuilding
from kernel.values.main_module import Main
from kernel_remote.nested import Resumed
from kernel_remote.plain import rebuild

if TYPE_CHECKING:
    from kernel_remote.shipment import Definitions, Shipment

__all__ = ["StandIn", "take_up"]


class StandIn(ModuleType):
    """The main module as far as it was sent; what the program does not need is unpickled once it is asked for."""

    __slots__ = ("_definitions", "_lock", "_others", "_problem")

    def __init__(self, definitions: Definitions) -> None:
        super().__init__("__main__")
        self._definitions = definitions
        self._others: pickle.Unpickler | None = None
        self._problem = ""
        self._lock = RLock()
        vars(self).update(definitions.attributes, __builtins__=builtins)
        vars(self)["__spec__"] = ModuleSpec(Resumed("__main__"), None, origin=definitions.attributes.get("__file__"))
        if definitions.lines:
            rebuilding.source(str(definitions.attributes.get("__file__")), definitions.lines)

    @property
    def main(self) -> Main:
        """This module, for whatever is pickled or rebuilt here."""
        return Main(self._definitions.key, vars(self))

    def load(self, shipment: Shipment) -> Any:
        """Unpickle the program, and keep the pickle of the other definitions."""
        if not shipment.goes_on:
            self._others = pickle.Unpickler(io.BytesIO(shipment.others))
            return pickle.loads(shipment.program)
        pages = _Pages(shipment.program)
        reader = pickle.Unpickler(pages)
        program = reader.load()
        pages.turn(shipment.others)
        self._others = reader
        return program

    def load_others(self) -> None:
        """Unpickle what the program does not need, unless that is done."""
        with self._lock:
            others, self._others = self._others, None
            if others is None:
                return
            try:
                things, functions, needs, hints = others.load()
                rebuilding.provide(vars(self), things, ())
                rebuild(functions, vars(self))
                rebuilding.provide(vars(self), needs, hints)
            except Exception as error:  # it imports what the program does not need, and this worker may not have
                self._problem = f"{type(error).__name__}: {error}"

    def __repr__(self) -> str:
        """Say what it is without: pickle shows this where it finds no class, and not the reason."""
        left_out = self._definitions.left_out
        without = "; ".join(
            f"without {name!r}, which cannot be sent to workers: {why}" for name, why in left_out.items()
        )
        return f"<module '__main__' of the runner{', ' if without else ''}{without}>"

    def __getattr__(self, name: str) -> Any:
        """Return what was not asked for before. Raises AttributeError, with the reason where it could not be sent."""
        if name.startswith("__") or name in StandIn.__slots__:
            raise AttributeError(f"module '__main__' has no attribute {name!r}")
        why = self._definitions.left_out.get(name)
        if name in self._definitions.names:
            self.load_others()
            if name in vars(self):
                return vars(self)[name]
            why = self._problem
        if why:
            raise AttributeError(f"the main module has {name!r}, but this worker cannot: {why}")
        raise AttributeError(f"module '__main__' has no attribute {name!r}")


class _Pages:
    """A file for a reader that goes on with other bytes after the first, which need not stay."""

    def __init__(self, data: bytes) -> None:
        self._file = io.BytesIO(data)

    def turn(self, data: bytes) -> None:
        """Go on with these bytes."""
        self._file = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._file.read(size)

    def readline(self) -> bytes:
        return self._file.readline()

    def readinto(self, buffer: Any, /) -> int:
        return self._file.readinto(buffer)


#: The main module that this process itself began with: what it holds is not to be finalised here.
_former: list[ModuleType] = []


def take_up(shipment: Shipment) -> Any:
    """Unpickle a program in a process that is a worker of one runner alone, and has that runner's main module now."""
    if not _former:
        _former.append(sys.modules["__main__"])
        rebuilding.disown_classes()
        main_module.begin_worker()
    linecache.cache.pop("<string>", None)  # from Python 3.13 on it has what this worker began with
    if shipment.definitions is None:
        main_module.stand_in(None)
        sys.modules["__main__"] = _former[0]
        return pickle.loads(shipment.program)
    module = StandIn(shipment.definitions)
    main_module.stand_in(module.main)
    sys.modules["__main__"] = module
    return module.load(shipment)
