"""Functions that are code and little else: a script may have hundreds that no run needs, so they are pickled once."""

from __future__ import annotations

import marshal
import pickle
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType
from typing import Any

from attrs import frozen

from kernel.values import rebuilding
from kernel.values.globals_of import all_names, names_in

__all__ = ["Plain", "plain_of", "rebuild"]


@frozen(eq=False)
class Plain:
    """Plain functions by name, each as it was when they were pickled; their pickle; names that they may use."""

    functions: Mapping[str, tuple[FunctionType, CodeType, str | None, Mapping[str, str]]]
    data: bytes
    names: frozenset[str]


_last = Plain({}, b"", frozenset())


def plain_of(others: Mapping[str, Any], found: Mapping[str, Any], source: Callable[[CodeType], Any]) -> Plain:
    """Pickle the plain ones among these things of a module's globals, or return what was made of them the last time.

    Plain is a function of code and annotations in words alone, whose code is in a file: `source` returns the lines of
    what is in none.
    """
    global _last  # noqa: PLW0603 - most runs of a process are of the same script
    last = _last.functions
    same = [name for name, thing in others.items() if (made := last.get(name)) and _is_unchanged(thing, *made)]
    if len(same) == len(last):
        new = [(thing, name) for name, thing in others.items() if name not in last]
        if all(_code_of(thing, name, found, source) is None for thing, name in new):
            return _last
    functions: dict[str, tuple[FunctionType, CodeType, str | None, Mapping[str, str]]] = {}
    data: list[tuple[bytes, Mapping[str, str] | None]] = []
    names: set[str] = set()
    for name, thing in others.items():
        of_code = _code_of(thing, name, found, source)
        if of_code is not None:
            code, notes = thing.__code__, dict(thing.__annotations__)
            functions[name] = (thing, code, thing.__doc__, notes)
            data.append((of_code, notes or None))
            names.update(all_names(code), names_in(notes))
    _last = Plain(functions, pickle.dumps((rebuilding.KIND_OF_CODE, data), 5), frozenset(names))
    return _last


def _is_unchanged(
    thing: Any, function: FunctionType, code: CodeType, doc: str | None, notes: Mapping[str, str]
) -> bool:
    return (
        thing is function
        and function.__code__ is code
        and function.__doc__ == doc
        and not (function.__defaults__ or function.__kwdefaults__ or function.__dict__)
        and function.__annotations__ == notes
    )


def _code_of(thing: Any, name: str, found: Mapping[str, Any], source: Callable[[CodeType], Any]) -> bytes | None:
    """Return the code of a plain function as bytes; None for anything else."""
    if type(thing) is not FunctionType or thing.__globals__ is not found:
        return None
    code = thing.__code__
    more = thing.__closure__ or thing.__dict__ or thing.__defaults__ or thing.__kwdefaults__
    if more or getattr(thing, "__type_params__", None) or source(code) is not None:
        return None
    if not (thing.__qualname__ == name == code.co_qualname and FunctionType(code, {}).__doc__ == thing.__doc__):
        return None
    if not all(type(each) is str for each in thing.__annotations__.values()):
        return None
    try:
        return marshal.dumps(code)
    except ValueError:  # a library has put objects of its own among its constants
        return None


def rebuild(functions: bytes, where: dict[str, Any]) -> None:
    """Make plain functions in their globals, those that are not there yet."""
    kind, data = pickle.loads(functions)
    for of_code, notes in data:
        code = rebuilding.code(kind, of_code)
        if code.co_name not in where:
            made = where[code.co_name] = FunctionType(code, where)
            made.__annotations__ = notes or {}
