"""What pickles by value are rebuilt with: functions that know their file, and classes that are not made twice.

The names here are in files that `pickle` datasets have written: they stay.
"""

from __future__ import annotations

import builtins
import functools
import importlib
import linecache
import marshal
import os
import pickle
import sys
from collections.abc import Callable, Mapping, Sequence
from types import CellType, CodeType, FunctionType
from typing import Any, NewType, ParamSpec, TypeVar, TypeVarTuple
from weakref import WeakKeyDictionary, WeakValueDictionary

from kernel.values import main_module

__all__ = [
    "KIND_OF_CODE",
    "NAMED_KINDS",
    "cached",
    "cell",
    "class_id",
    "code",
    "disown_classes",
    "fill_cell",
    "fill_class",
    "fill_function",
    "function",
    "klass",
    "named",
    "namespace",
    "provide",
    "renamed",
    "source",
    "type_variable",
    "unnamed",
]

#: What Python's code objects are made for; those of another Python would end this one.
KIND_OF_CODE = str(sys.implementation.cache_tag)
#: Names of a pickled function's globals, with what to import for them: a module, and the name of what it has.
Hints = Sequence[tuple[str, str, str]]

#: What is being rebuilt here and may be filled, by its address: what was here before stays as it is.
_unfinished: dict[int, Any] = {}
#: The classes that pickles were made of or that they made, and of these the ones that are this process's own.
_ids: WeakKeyDictionary[type, str] = WeakKeyDictionary()
_own: WeakValueDictionary[str, type] = WeakValueDictionary()


# -- functions --------------------------------------------------------------------------------------------------------


def code(kind: str, data: bytes, _source: None = None) -> CodeType:
    """Rebuild a code object with its file and lines. Raises UnpicklingError for that of another Python."""
    if kind != KIND_OF_CODE:
        raise pickle.UnpicklingError(
            f"it has a function by value, which only the Python that wrote it can read: {kind}, not {KIND_OF_CODE}"
        )
    made: CodeType = marshal.loads(data)  # noqa: S302 - a pickle runs what it says anyway
    return made


def renamed(make: Callable[..., CodeType], arguments: Sequence[Any], file: str) -> CodeType:
    """Rebuild a code object in another way, which loses its file, and give it that."""
    return make(*arguments).replace(co_filename=file)


def source(file: str, lines: Sequence[str]) -> None:
    """Have tracebacks show the lines of code that is in no file: of a notebook's cell, for one."""
    if not os.path.exists(file):  # noqa: PTH110 - pathlib costs a worker's start
        linecache.cache[file] = (sum(map(len, lines)), None, list(lines), file)


def namespace(key: str | None, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the globals of functions: the main module's if it is the one with this key, else new ones."""
    main = main_module.current()
    if key is not None and key == main.key:
        return main.namespace
    return {"__builtins__": builtins, **attributes}


def function(
    of: CodeType, where: dict[str, Any], name: str, cells: tuple[CellType, ...] | None, known_as: str = ""
) -> FunctionType:
    """Make a function that `fill_function` completes, and put it into its globals if it is `known_as` a name there."""
    existing: FunctionType | None = _existing(where, known_as)
    if existing is not None:
        return existing
    made = FunctionType(of, where, name, None, cells)
    _unfinished[id(made)] = made
    if known_as:
        where[known_as] = made
    return made


def fill_function(made: FunctionType, state: tuple[Mapping[str, Any], Mapping[str, Any], Hints, Any, Any]) -> None:
    """Complete a function: its attributes, what it needs of its globals, modules, the content of its cells."""
    attributes, needs, hints, contents, _modules = state
    for each, content in contents:
        each.cell_contents = content
    if _unfinished.pop(id(made), None) is None:
        return
    made.__dict__.update(attributes.get("__dict__", ()))
    for name, value in attributes.items():
        if name != "__dict__":
            setattr(made, name, value)
    provide(made.__globals__, needs, hints)


def provide(where: dict[str, Any], needs: Mapping[str, Any], hints: Hints) -> None:
    """Add to globals what they lack of these; of `hints`, which annotations name, only what can be imported here."""
    for name, value in needs.items():
        where.setdefault(name, value)
    for name, module, qualname in hints:
        if name not in where:
            try:
                found: Any = importlib.import_module(module)
                where[name] = functools.reduce(getattr, qualname.split(".") if qualname else (), found)
            except Exception:  # noqa: S112 - an import runs anything; without it an annotation has a name without meaning
                continue


def _existing(where: dict[str, Any], known_as: str) -> Any:
    """Return what the main module here has under a name already: a definition that comes again changes nothing."""
    return where.get(known_as) if known_as and where is main_module.current().namespace else None


def cell() -> CellType:
    """Make an empty cell: who refers to it fills it."""
    return CellType()


def fill_cell(made: CellType, content: tuple[Any]) -> None:
    """Put its content into a cell."""
    made.cell_contents = content[0]


def cached(wrapped: Callable[..., Any], parameters: Mapping[str, Any]) -> Any:
    """Make a function that `functools.lru_cache` wraps; its cache is empty."""
    return functools.lru_cache(**parameters)(wrapped)


def named(make: Callable[..., Any], arguments: Sequence[Any], where: dict[str, Any], known_as: str = "") -> Any:
    """Make an object that is known by a name, and put it there, as `function` does."""
    existing = _existing(where, known_as)
    if existing is not None:
        return existing
    made: Any = make(*arguments)
    if isinstance(made, TypeVar | ParamSpec | TypeVarTuple):
        made.__module__ = str(where.get("__name__"))  # they have taken their maker's
    if known_as:
        where[known_as] = made
    return made


def unnamed(kind: type[Any], attributes: Mapping[str, Any] | None) -> Any:
    """Make an object whose own pickle would be the name that the main module has it under."""
    made: Any = object.__new__(kind)
    if attributes:
        made.__dict__.update(attributes)
    return made


def type_variable(name: str, bound: Any, constraints: tuple[Any, ...], *variance: bool) -> Any:
    """Make a type variable, covariant or contravariant or neither."""
    make: Any = TypeVar
    return make(name, *constraints, bound=bound, covariant=variance[0], contravariant=variance[1])


#: Kinds of objects that pickle writes as names, with what makes the same anew: a callable and its arguments.
NAMED_KINDS: dict[type, Callable[[Any], tuple[Any, ...]]] = {
    type(functools.lru_cache(cell)): lambda of: (cached, (of.__wrapped__, of.cache_parameters())),
    NewType: lambda of: (unnamed, (NewType, vars(of))),
    ParamSpec: lambda of: (ParamSpec, (of.__name__,)),
    TypeVarTuple: lambda of: (TypeVarTuple, (of.__name__,)),
    TypeVar: lambda of: (
        type_variable,
        (of.__name__, of.__bound__, of.__constraints__, of.__covariant__, of.__contravariant__),
    ),
}


# -- classes ----------------------------------------------------------------------------------------------------------


def class_id(kind: type) -> str:
    """Return what tells a class from all others, wherever it goes."""
    identity = _ids.get(kind)
    if identity is None:
        identity = _ids[kind] = os.urandom(16).hex()
        _own[identity] = kind
    return identity


def disown_classes() -> None:
    """Take no class for this process's own: a fork's are those of the process that it comes from."""
    _own.clear()


def klass(
    identity: str, name: str, make: Callable[..., type], arguments: Sequence[Any], where: dict[str, Any], known_as: str
) -> type:
    """Make a class of this qualified name, without content, that `fill_class` completes, as `function` does.

    One that is this process's own stays as it is.
    """
    own = _own.get(identity) or _existing(where, known_as)
    if isinstance(own, type):
        return own
    made = make(*arguments)
    made.__qualname__ = name  # cloudpickle leaves that out
    _ids[made] = identity
    _unfinished[id(made)] = made
    if known_as:
        where[known_as] = made
    return made


def fill_class(
    made: Any, state: tuple[Callable[[type, Any], Any], Any, dict[str, Any], Mapping[str, Any], Any]
) -> None:
    """Complete a class, and its module with what its annotations name."""
    fill, content, where, needs, hints = state
    if _unfinished.pop(id(made), None) is None:
        return
    line = content[0].get("__firstlineno__")
    fill(made, content)
    if line is not None:
        made.__firstlineno__ = line
    provide(where, needs, hints)
