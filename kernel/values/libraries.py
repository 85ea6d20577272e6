"""What is known of the values of each library: a registry that plugins fill. No library is imported for it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from attrs import frozen

from kernel.defaults import VALUES
from kernel.errors import PluginError

__all__ = ["Library", "library_of", "register", "registered"]

#: Makes of a value what pickle asks of `__reduce__`: a function, its arguments, and what else is to be restored.
Reducer = Callable[[Any], Any]

#: Types are remembered up to this many: a program may make classes without end.
_MOST_TYPES = 4096


def _no_reducer(kind: type) -> Reducer | None:
    del kind
    return None


def _never(value: Any, others: int) -> bool:
    del value, others
    return False


def _no_state(value: Any) -> bool:
    del value
    return False


def _not_implemented(*_: Any) -> Any:
    return NotImplemented


@frozen(eq=False)
class Library:
    """What a plugin of the group `kernel.values` says of the values of one library; all of it may be left out.

    What a reader gets is what a pickle gives. These are the places where a library's types need, or allow, more:

    `reducer(type)`: how values of that type, or of a subclass, are pickled on their way between nodes; None: as they
    say themselves. Reducers keep what a pickle would lose, and leave out what it would carry needlessly.
    `copy(value)`: a copy like the one that a pickle gives, made faster; NotImplemented: there is none.
    `read(value)`: what a reader gets of a value that the kernel keeps, when nobody else has it or its memory;
    NotImplemented: there is no quicker way than another copy. For types that cannot be changed it is the value itself.
    `is_own(value, others)`: whether nobody but the caller holds the value, or memory of it that can be changed, where
    `others` is the number of unknown references to it. `kernel.values.ownership` has what counts them. In doubt False.
    `has_state(value)`: whether to read it changes it, as with a source of random numbers.
    `is_equal(one, other)`: whether two values of one type are the same to a reader; NotImplemented: compare with `==`.
    """

    reducer: Callable[[type], Reducer | None] = _no_reducer
    copy: Callable[[Any], Any] = _not_implemented
    read: Callable[[Any], Any] = _not_implemented
    is_own: Callable[[Any, int], bool] = _never
    has_state: Callable[[Any], bool] = _no_state
    is_equal: Callable[[Any, Any], Any] = _not_implemented


_UNKNOWN = Library()
_entries: dict[str, str] = dict(VALUES)
_of_type: dict[type, Library] = {}


def register(entries: Mapping[str, str]) -> None:
    """Take entry points: the name of a library's package, and where its `Library` is, as "module:attribute"."""
    if not entries.items() <= _entries.items():
        _entries.update(entries)
        _of_type.clear()


def registered() -> dict[str, str]:
    """Return the entry points that a process does not know by itself: what workers have to be told."""
    return dict(_entries.items() - VALUES.items())


def library_of(kind: Any) -> Library:
    """Return what is known of a type: of the first of its bases whose library is registered.

    Raises `PluginError` when the plugin that knows it cannot be loaded.
    """
    found = _of_type.get(kind)
    if found is None:
        if len(_of_type) >= _MOST_TYPES:
            _of_type.clear()
        found = _of_type[kind] = _look_up(kind)
    return found


def _look_up(kind: Any) -> Library:
    for base in kind.__mro__:
        package = base.__module__.partition(".")[0]
        if package in _entries:
            return _load(package, _entries[package])
    return _UNKNOWN


def _load(package: str, entry: str) -> Library:
    module, _, attribute = entry.partition(":")
    try:
        found: Any = getattr(import_module(module), attribute)
    except Exception as error:  # a plugin's module may raise anything when it is imported
        cause = f"{type(error).__name__}: {error}"
        raise PluginError(f"what is known of values of {package!r} cannot be loaded from {entry!r}: {cause}") from error
    if not isinstance(found, Library):
        raise PluginError(f"{entry!r}, of the group 'kernel.values', is a {type(found).__name__}, not a Library")
    return found
