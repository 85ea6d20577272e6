"""Pickles definitions that nobody may need: quickly, and without the data that they refer to, but for small things."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection
from enum import Enum
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType, NoneType
from typing import Any

from kernel.values.by_value_pickler import ByValuePickler

__all__ = ["SmallPickler"]

#: As many bytes may all of it take.
_MOST_BYTES = 4 << 20
#: Data of this many bytes, items and levels is small.
_SMALL_BYTES, _SMALL_ITEMS, _SMALL_DEPTH = 1 << 14, 100, 4

_SIMPLE = (bool, int, float, complex, NoneType, type(...), type(NotImplemented), BuiltinFunctionType, range, slice)
_DEFINED = (type, FunctionType, ModuleType)
#: Where types are defined whose objects are small, whatever they are.
_SMALL = frozenset({"datetime", "decimal", "fractions", "pathlib", "re", "uuid", "zoneinfo"})


class _Bounded(io.BytesIO):
    """A file in memory that refuses to get longer than `limit` (bytes), before it takes what is too much."""

    limit: int | None = None

    def write(self, data: Any, /) -> int:
        if self.limit is not None and self.tell() + len(data) > self.limit:
            raise ValueError(f"it brings more than {_MOST_BYTES >> 20} MB of data along")
        return super().write(data)


class SmallPickler(ByValuePickler):
    """Pickles a program and what it needs as it is; then, with `dump_others`, what nothing may need.

    `small`: of that, no more data comes along than is small.
    """

    def __init__(self, *, small: bool = True) -> None:
        self.file = _Bounded()
        super().__init__(self.file)
        self._small = small
        self._is_at_others = self._is_alone = False
        #: Names of the main module that do not travel; whether objects of its classes do not, either.
        self.without: Collection[str] = ()
        self.without_objects = False

    def twin(self) -> SmallPickler:
        """Return a pickler that has pickled nothing, to ask what it can."""
        return SmallPickler(small=self._small)

    def dump_others(self, things: Any) -> None:
        """Pickle definitions; when that fails, all is as before. Raises whatever stops it."""
        at, memo, filled, defined = self.file.tell(), self.memo.copy(), set(self.filled), dict(self.defined)
        self.file.limit, self._is_at_others = at + _MOST_BYTES if self._small else None, True
        try:
            self.dump(things)
        except BaseException:
            self.file.seek(at)
            self.file.truncate()
            self.memo, self.filled, self.defined = memo, filled, defined
            raise

    def obstacle(self, thing: Any) -> str:
        """Say why a definition cannot travel, whatever becomes of those that it refers to; empty if it can."""
        self._is_alone = True
        try:
            self.dump_others(thing)
        except Exception as error:  # whatever stops it is the reason
            return f"{type(error).__name__}: {error}"
        return ""

    def sent(self, needs: dict[str, Any]) -> dict[str, Any]:
        """Choose what travels of what a definition needs of the main module: all that the program needs."""
        return self.chosen(needs) if self._is_at_others else needs

    def chosen(self, needs: dict[str, Any]) -> dict[str, Any]:
        """Leave out what is no small thing, and what cannot travel."""
        if self._is_alone:
            return {}
        return {
            name: value
            for name, value in needs.items()
            if name not in self.without
            and (not self._small or self.defined.get(name) is value or self._is_small(value))
        }

    def _is_small(self, value: Any) -> bool:
        return _is_small(value, 0, with_objects=not self.without_objects)

    def reducer_override(self, obj: Any) -> Any:
        """Refuse arrays and the like that are large, before anything is made of them."""
        if self._is_at_others and self._small and not isinstance(obj, _DEFINED):
            kind: Any = type(obj)  # pyright: ignore[reportUnknownVariableType] - whatever it is
            size: Any = obj.nbytes if hasattr(kind, "nbytes") else None
            if isinstance(size, int) and size > _SMALL_BYTES:
                raise ValueError(f"it brings a {type(obj).__name__} of {size:,} bytes along")
        return super().reducer_override(obj)


def _is_small(value: Any, depth: int, *, with_objects: bool) -> bool:
    """Say whether a value is a definition or little data; what it cannot tell of is not small."""
    kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType] - whatever it is
    if issubclass(kind, _DEFINED) or kind in _SIMPLE or issubclass(kind, Enum) or kind.__module__ in _SMALL:
        return True
    if kind in {str, bytes}:
        return len(value) <= _SMALL_BYTES
    if depth == _SMALL_DEPTH:
        return False
    inner = _parts.get(kind, _attributes if with_objects and _is_plain_class(kind) else None)
    if inner is None:
        return False
    parts = inner(value)
    return len(parts) <= _SMALL_ITEMS and all(_is_small(part, depth + 1, with_objects=with_objects) for part in parts)


def _is_plain_class(kind: Any) -> bool:
    """Say whether a class is one of the main module whose objects are pickled by their attributes."""
    usual: Any = object
    is_usual = kind.__reduce_ex__ is usual.__reduce_ex__ and kind.__reduce__ is usual.__reduce__
    return is_usual and kind.__module__ == "__main__"


def _items(value: Any) -> Collection[Any]:
    return value if len(value) > _SMALL_ITEMS else [part for item in value.items() for part in item]


def _attributes(value: Any) -> Collection[Any]:
    """Return what an object of the main module's own class holds."""
    slots = [name for kind in type(value).__mro__ for name in kind.__dict__.get("__slots__", ())]
    return [*getattr(value, "__dict__", {}).values(), *(getattr(value, name, None) for name in slots)]


_parts: dict[type, Callable[[Any], Collection[Any]]] = {
    tuple: lambda of: of,
    list: lambda of: of,
    set: lambda of: of,
    frozenset: lambda of: of,
    dict: _items,
    MethodType: lambda of: (of.__self__, of.__func__),
}
