"""The pickler by value: functions keep their file and lines, and what the main module has keeps its name.

Classes and odd types are cloudpickle's business, which is loaded with the first of them.
"""

from __future__ import annotations

import linecache
import marshal
import os
import pickle
import sys
from collections.abc import Callable
from importlib import import_module
from inspect import get_annotations
from io import BytesIO
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, GenericAlias, ModuleType, NoneType, UnionType
from typing import IO, Any

from kernel.values import main_module, rebuilding
from kernel.values.globals_of import hints_of, is_importable, needs_of, submodules_of
from kernel.values.rebuilding import NAMED_KINDS

__all__ = ["ByValuePickler"]

#: Where the types are defined that pickle cannot do by itself, and cloudpickle can; and those there that pickle can do.
_ODD = frozenset({"builtins", "types", "logging", "_weakrefset", "_io", "abc", "dataclasses"})
_EASY: frozenset[Any] = frozenset(
    {
        BuiltinFunctionType,
        GenericAlias,
        UnionType,
        NoneType,
        bytearray,
        complex,
        range,
        slice,
        object,
        Ellipsis.__class__,
    }
)
#: The most characters of a file's lines that travel with code.
_MOST_LINES = 1 << 20


def _cloudpickle() -> Any:
    return import_module("cloudpickle")  # it has no types, and is slow to load


class ByValuePickler(pickle.Pickler):
    """Pickles by value what cannot be imported; functions of the main module share its globals where they arrive.

    `named`: what the main module has under its name goes by that. Otherwise it goes by value, and is put under its name
    into what stands for the main module where it arrives.
    """

    def __init__(
        self,
        file: IO[bytes] | BytesIO,
        protocol: int = 5,
        buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None,
        *,
        named: bool = False,
    ) -> None:
        super().__init__(file, protocol=protocol, buffer_callback=buffer_callback)
        self._named = named
        #: What the main module has and was pickled by value, by name.
        self.defined: dict[str, Any] = {}
        self._main = main_module.current()
        self._spaces: dict[int, _Again] = {}
        self._sources: dict[str, _Again | None] = {}
        #: The cells whose content is in the stream.
        self.filled: set[int] = set()
        #: What stands for something else in the stream, kept so that nothing gets its address.
        self._kept: list[Any] = []
        self._own: dict[type, Callable[[Any], Any]] = {
            FunctionType: self._function,
            CodeType: self._code,
            CellType: self._cell,
            **dict.fromkeys(NAMED_KINDS, self._named_object),
        }
        known = sys.modules.get("cloudpickle")
        self._registered: frozenset[str] = frozenset(known.list_registry_pickle_by_value() if known else ())

    def reducer_override(self, obj: Any) -> Any:
        """Say how an object is pickled: a tuple as `__reduce__` returns it, or NotImplemented for the usual way."""
        kind: type[Any] = type(obj)  # pyright: ignore[reportUnknownVariableType] - whatever it is
        if issubclass(kind, type):
            return self._class(obj)
        own = self._own.get(kind)
        if own is not None:
            return own(obj)
        if kind in getattr(self, "dispatch_table", ()):
            return NotImplemented
        if issubclass(kind, ModuleType):
            return self._module(obj)
        if kind.__module__ == "__main__":
            return self._instance(obj)
        is_odd = kind.__module__ in _ODD and kind not in _EASY and not issubclass(kind, BaseException)
        return self._odd(obj) if is_odd else NotImplemented

    def _odd(self, obj: Any) -> Any:
        reduce = _cloudpickle().Pickler.dispatch_table.get(type(obj))
        return NotImplemented if reduce is None else reduce(obj)

    def _module(self, module: ModuleType) -> Any:
        if sys.modules.get(module.__name__) is module and not self._is_registered(module.__name__):
            return import_module, (module.__name__,)
        return self._odd(module)

    # -- functions ----------------------------------------------------------------------------------------------------

    def _function(self, func: FunctionType) -> Any:
        is_mains = func.__globals__ is self._main.namespace
        is_found = func.__module__ == "__main__" and self._main.has(func, func.__qualname__)
        if is_found and self._named:
            return NotImplemented
        if not is_found and self._is_importable(func, func.__qualname__):
            return NotImplemented
        known_as = self._known_as(func, func.__qualname__) if is_found and is_mains else ""
        where = self._space(func.__globals__)
        arguments = (func.__code__, where, func.__name__, func.__closure__, known_as)
        return rebuilding.function, arguments, self._state(func), None, None, rebuilding.fill_function

    def _state(self, func: FunctionType) -> tuple[Any, ...]:
        """Return what `fill_function` takes; what is left of it keeps modules imported that the code reaches."""
        code, found = func.__code__, func.__globals__
        contents = [(each, each.cell_contents) for each in func.__closure__ or () if self._is_to_fill(each)]
        needs = needs_of(code, found)
        named, hints = hints_of(func.__annotations__, found) if func.__annotations__ else ({}, [])
        needs = self.sent({**named, **needs})
        modules = submodules_of(code, [*needs.values(), *(content for _, content in contents)])
        return _attributes(func), needs, hints, contents, modules

    def sent(self, needs: dict[str, Any]) -> dict[str, Any]:
        """Choose what travels of what a definition needs of the main module."""
        return needs

    def _known_as(self, thing: Any, name: str) -> str:
        """Return the name to put a definition under: what is within a class comes with that."""
        if "." in name:
            return ""
        self.defined[name] = thing
        return name

    def _is_importable(self, thing: Any, name: str) -> bool:
        return is_importable(thing, name) and not self._is_registered(thing.__module__)

    def _is_registered(self, module: str) -> bool:
        """Say whether cloudpickle was told to take by value what is in a module, or in one around it."""
        parts = module.split(".") if self._registered else ()
        return not self._registered.isdisjoint([".".join(parts[:at]) for at in range(1, len(parts) + 1)])

    def _space(self, found: dict[str, Any]) -> _Again:
        """Return what stands for the globals of functions in this stream."""
        space = self._spaces.get(id(found))
        if space is None:
            key = self._main.key if found is self._main.namespace else None
            attributes = {
                name: found[name] for name in ("__name__", "__package__", "__file__", "__path__") if name in found
            }
            space = self._spaces[id(found)] = _Again(rebuilding.namespace, (key, attributes))
            self._kept.append(found)
        return space

    def _cell(self, cell: CellType) -> Any:
        if not self._is_to_fill(cell):
            return rebuilding.cell, ()
        return rebuilding.cell, (), (cell.cell_contents,), None, None, rebuilding.fill_cell

    def _is_to_fill(self, cell: CellType) -> bool:
        """Say whether a cell has content that is not in the stream yet."""
        if id(cell) in self.filled:
            return False
        self.filled.add(id(cell))
        self._kept.append(cell)
        try:
            cell.cell_contents  # noqa: B018 - this is how one asks
        except ValueError:
            return False
        return True

    def _code(self, code: CodeType) -> Any:
        try:
            data = marshal.dumps(code)
        except ValueError:  # a library has put objects of its own among its constants
            return rebuilding.renamed, (*_cloudpickle().Pickler.dispatch_table[CodeType](code), code.co_filename)
        return rebuilding.code, (rebuilding.KIND_OF_CODE, data, self.source(code))

    def source(self, code: CodeType) -> Any:
        """Return what has tracebacks show the lines of code where it arrives, if its file is no file."""
        file = code.co_filename
        if file not in self._sources:
            lines = _lines(code)
            self._sources[file] = _Again(rebuilding.source, (file, lines)) if lines else None
        return self._sources[file]

    # -- classes and what is known by its name ------------------------------------------------------------------------

    def _class(self, kind: type) -> Any:
        is_mains = kind.__module__ == "__main__"
        is_found = is_mains and self._main.has(kind, kind.__qualname__)
        if is_found and self._named:
            return NotImplemented
        if kind is NoneType or (not is_mains and self._is_importable(kind, kind.__qualname__)):
            return NotImplemented
        reduced = _cloudpickle().Pickler(BytesIO()).reducer_override(kind)
        if reduced is NotImplemented or len(reduced) != 6:  # noqa: PLR2004 - a short one is of a type without a name
            return reduced
        make, arguments, content, _, _, fill = reduced
        known_as = self._known_as(kind, kind.__qualname__) if is_found else ""
        found = self._main.namespace if is_mains else {}
        needs, hints = hints_of(get_annotations(kind), found)
        where = self._space(found)
        arguments = (rebuilding.class_id(kind), kind.__qualname__, make, arguments, where, known_as)
        state = (fill, content, where, self.sent(needs), hints)
        return rebuilding.klass, arguments, state, None, None, rebuilding.fill_class

    def _named_object(self, obj: Any) -> Any:
        """Reduce an object that pickle would write as the name that its module has it under."""
        name = getattr(obj, "__qualname__", None) or obj.__name__
        is_found = obj.__module__ == "__main__" and self._main.has(obj, name)
        if is_found and self._named:
            return name
        if not is_found and self._is_importable(obj, name):
            return NotImplemented
        return self._made(obj, name if is_found else "", NAMED_KINDS[type(obj)](obj))

    def _instance(self, obj: Any) -> Any:
        """Reduce an object of a class of the main module: one alone of its kind may be pickled as a name."""
        kind: Any = type(obj)  # pyright: ignore[reportUnknownVariableType] - whatever it is
        usual: Any = object
        if kind.__reduce_ex__ is usual.__reduce_ex__ and kind.__reduce__ is usual.__reduce__:
            return NotImplemented
        reduced = obj.__reduce_ex__(5)
        if not isinstance(reduced, str) or self._named:
            return reduced
        name = reduced if self._main.has(obj, reduced) else ""
        return self._made(obj, name, (rebuilding.unnamed, (kind, getattr(obj, "__dict__", None))))

    def _made(self, obj: Any, name: str, reduced: tuple[Any, ...]) -> tuple[Any, ...]:
        known_as = self._known_as(obj, name) if name else ""
        return rebuilding.named, (*reduced, self._space(self._main.namespace), known_as)


class _Again:
    """Stands for the same thing wherever it is met in a stream."""

    __slots__ = ("_reduced",)

    def __init__(self, make: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._reduced = make, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._reduced


def _attributes(func: FunctionType) -> dict[str, Any]:
    """Return those attributes of a function that its code alone does not give it."""
    bare = FunctionType(
        func.__code__, {"__name__": func.__globals__.get("__name__")}, func.__name__, None, func.__closure__
    )
    names = ["__defaults__", "__kwdefaults__", "__qualname__", "__module__", "__doc__"]
    attributes = {name: value for name in names if (value := getattr(func, name)) != getattr(bare, name)}
    for name in ("__annotations__", "__dict__", "__type_params__"):
        if value := getattr(func, name, None):
            attributes[name] = value
    return attributes


def _lines(code: CodeType) -> list[str]:
    """Return the lines of the file of code if that is no file, as far as this process knows them."""
    if os.path.exists(code.co_filename):  # noqa: PTH110 - once for each file of a stream
        return []
    lines = linecache.getlines(code.co_filename) if code.co_filename in linecache.cache else []
    if not lines and (known := getattr(linecache, "_getlines_from_code", None)):  # later Pythons keep those by code
        lines = known(code)
    return lines if sum(map(len, lines)) <= _MOST_LINES else []
