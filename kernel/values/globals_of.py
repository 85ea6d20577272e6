"""What functions and classes need of their module: globals that their code names, and what annotations name."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache, reduce
from types import CodeType, FunctionType, ModuleType
from typing import Any, ForwardRef
from weakref import WeakKeyDictionary

__all__ = ["all_names", "hints_of", "is_importable", "names_in", "needs_of", "place_of", "submodules_of"]

#: Instructions that go by a name to globals; in the body of a class within a function, names are looked up by the last.
_BY_NAME = frozenset({"LOAD_GLOBAL", "STORE_GLOBAL", "DELETE_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"})
_names: WeakKeyDictionary[CodeType, tuple[str, ...]] = WeakKeyDictionary()


def needs_of(code: CodeType, found: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the globals that code, or code within it, uses."""
    return {name: found[name] for name in _global_names(code) if name in found}


def _global_names(code: CodeType) -> tuple[str, ...]:
    names = _names.get(code)
    if names is None:
        used: dict[str, None] = {}
        if code.co_names:
            used.update((each.argval, None) for each in dis.get_instructions(code) if each.opname in _BY_NAME)
        for inner in _within(code):
            used.update(dict.fromkeys(_global_names(inner)))
        names = _names[code] = tuple(used)
    return names


def _within(code: CodeType) -> Iterator[CodeType]:
    return (const for const in code.co_consts if isinstance(const, CodeType))


def submodules_of(code: CodeType, values: Iterable[Any]) -> list[ModuleType]:
    """List the loaded submodules that code reaches by way of packages among these values: they have to be imported."""
    packages = [value for value in values if isinstance(value, ModuleType) and getattr(value, "__path__", None)]
    if not packages:
        return []
    words = frozenset(all_names(code))
    return [
        module
        for package in packages
        for name, module in list(sys.modules.items())
        if name.startswith(package.__name__ + ".")
        and words.issuperset(name[len(package.__name__) + 1 :].split("."))
        and isinstance(module, ModuleType)  # pyright: ignore[reportUnnecessaryIsInstance] - None says: not to be had
    ]


def all_names(code: CodeType) -> Iterator[str]:
    """Yield the names of globals and attributes that code, or code within it, uses."""
    yield from code.co_names
    for inner in _within(code):
        yield from all_names(inner)


# -- annotations ------------------------------------------------------------------------------------------------------


def hints_of(
    annotations: Mapping[str, Any], found: Mapping[str, Any]
) -> tuple[dict[str, Any], list[tuple[str, str, str]]]:
    """Return what annotations name in words: what the main module defines, and what it has imported.

    The second as names, each with the module that has it and its name there ("": it is the module).
    """
    needs: dict[str, Any] = {}
    imported: list[tuple[str, str, str]] = []
    for name in names_in(annotations):
        value = found.get(name)
        if (place := place_of(value)) is not None:
            imported.append((name, *place))
        elif isinstance(value, type | FunctionType) or type(value).__module__ in {"typing", "types"}:
            needs[name] = value
    return needs, imported


def place_of(value: Any) -> tuple[str, str] | None:
    """Return where something can be imported from: the module, and its name there ("": it is the module), or None."""
    if isinstance(value, ModuleType):
        return value.__name__, ""
    if isinstance(value, type | FunctionType) and is_importable(value, value.__qualname__):
        return value.__module__, value.__qualname__
    return None


def names_in(annotations: Mapping[str, Any]) -> Iterable[str]:
    """Yield the names in the texts of annotations, each once."""
    return dict.fromkeys(name for each in annotations.values() for name in _named(each))


def _named(annotation: Any) -> Iterable[str]:
    if isinstance(annotation, str):
        return _words(annotation)
    if isinstance(annotation, ForwardRef):
        return _words(annotation.__forward_arg__)
    if type(annotation).__module__ in {"typing", "types"}:
        return [name for each in getattr(annotation, "__args__", None) or () for name in _named(each)]
    return ()


@lru_cache(maxsize=4096)
def _words(text: str) -> tuple[str, ...]:
    """Return the names in the text of an annotation, and in texts within it."""
    if text.isidentifier():
        return (text,)
    try:
        code = compile(text, "", "eval", dont_inherit=True)
    except (SyntaxError, ValueError):  # it means nothing to anybody
        return ()
    inner = [name for const in code.co_consts if isinstance(const, str) for name in _words(const)]
    return (*code.co_names, *inner)


def is_importable(thing: Any, name: str) -> bool:
    """Say whether a module, other than the main one, has this very object under its qualified name."""
    module = sys.modules.get(getattr(thing, "__module__", None) or "")
    if module is None or module.__name__ == "__main__":
        return False
    try:
        return reduce(getattr, name.split("."), module) is thing
    except AttributeError:
        return False
