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

__all__ = ["Sent", "take_up"]


class StandIn(ModuleType):
    """The main module as far as it was sent. It has no names of its own, but for `__sent__`: they are the script's."""

    __slots__ = ("__sent__",)

    def __init__(self, sent: Sent) -> None:
        super().__init__("__main__")
        self.__sent__ = sent

    def __repr__(self) -> str:
        """Say what it is without: pickle shows this where it finds no class, and not the reason."""
        left_out = self.__sent__.definitions.left_out
        without = "; ".join(
            f"without {name!r}, which cannot be sent to workers: {why}" for name, why in left_out.items()
        )
        return f"<module '__main__' of the runner{', ' if without else ''}{without}>"

    def __getattr__(self, name: str) -> Any:
        """Return what was not asked for before. Raises AttributeError, with the reason where it could not be sent."""
        why = ""
        if not name.startswith("__"):
            why = self.__sent__.reason(name)
            if name in vars(self):
                return vars(self)[name]
        if why:
            raise AttributeError(f"the main module has {name!r}, but this worker cannot: {why}")
        raise AttributeError(f"module '__main__' has no attribute {name!r}")


class Sent:
    """A shipment as it is taken up: `module` stands in for the main module, `main` is what values see of it."""

    def __init__(self, shipment: Shipment, definitions: Definitions) -> None:
        self.definitions = definitions
        self.module = StandIn(self)
        self.main = Main(definitions.key, vars(self.module), self.complete)
        self._shipment: Shipment | None = shipment
        self._others: pickle.Unpickler | None = None
        self._problem = ""
        self._lock = RLock()
        file = definitions.attributes.get("__file__")
        vars(self.module).update(definitions.attributes, __builtins__=builtins)
        vars(self.module)["__spec__"] = ModuleSpec(Resumed("__main__"), None, origin=file)
        if definitions.lines:
            rebuilding.source(str(file), definitions.lines)

    def program(self) -> Any:
        """Unpickle the program, once, and keep the pickle of the other definitions."""
        shipment, self._shipment = self._shipment, None
        assert shipment is not None
        if not shipment.goes_on:
            self._others = pickle.Unpickler(io.BytesIO(shipment.others))
            return pickle.loads(shipment.program)
        pages = _Pages(shipment.program)
        reader = pickle.Unpickler(pages)
        program = reader.load()
        pages.turn(shipment.others)
        self._others = reader
        return program

    def complete(self) -> None:
        """Unpickle what the program does not need, unless that is done."""
        with self._lock:
            others, self._others = self._others, None
            if others is None:
                return
            try:
                things, functions, needs, hints = others.load()
                rebuilding.provide(self.main.namespace, things, ())
                rebuild(functions, self.main.namespace)
                rebuilding.provide(self.main.namespace, needs, hints)
            except Exception as error:  # it imports what the program does not need, and this worker may not have
                self._problem = f"{type(error).__name__}: {error}"

    def reason(self, name: str) -> str:
        """Take up what may have this name; say why it is not here if it is not, and the main module has it."""
        if name in self.definitions.names:
            self.complete()
            return self._problem
        return self.definitions.left_out.get(name, "")


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
    sent = Sent(shipment, shipment.definitions)
    main_module.stand_in(sent.main)
    sys.modules["__main__"] = sent.module
    return sent.program()
