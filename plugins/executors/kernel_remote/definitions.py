"""What the main module defines, on its way to workers beside the program of a run.

What the program needs of it comes with the program. All else that it defines comes behind that, for values and files
may name it; workers look at it when they are asked for it, and it never brings much data along.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from kernel.values import main_module
from kernel.values.rebuilding import NAMED_KINDS
from kernel_remote.hidden import taken_by_value
from kernel_remote.shipment import Definitions, Shipment

__all__ = ["ship", "ship_again"]

#: The attributes of the main module that its stand-in has, too.
_KEPT = ("__name__", "__doc__", "__file__", "__package__")


def ship(program: Any, hidden: Sequence[ModuleType] = (), *, far: bool = False) -> Shipment:
    """Pickle a program with the definitions of the main module, if it has any; raises whatever stops the program.

    What `hidden` modules define goes by value. `far`: workers may not have the files of this machine.
    """
    found = _complete()
    data = _by_reference(program, hidden)
    defined = dict(_defined(found))
    if data is not None and not defined:
        return Shipment(data)
    from kernel_remote.others import dump_others  # noqa: PLC0415 - only what goes by value needs it
    from kernel_remote.small_pickler import SmallPickler  # noqa: PLC0415 - as above

    with taken_by_value(hidden):
        pickler = SmallPickler()
        if data is None:
            pickler.dump(program)
        at = pickler.file.tell()
        others = {name: thing for name, thing in defined.items() if name not in pickler.defined}
        left_out = dump_others(pickler, others, found)
        written = pickler.file.getvalue()
    definitions = _described(found, others.keys() - left_out.keys(), left_out, far=far)
    if data is not None:
        return Shipment(data, definitions, written)
    return Shipment(written[:at], definitions, written[at:], goes_on=True)


def ship_again() -> Shipment:
    """Pickle all that the main module of a worker has, for a process that the worker starts."""
    from kernel_remote.others import dump_others  # noqa: PLC0415 - few nodes start processes
    from kernel_remote.small_pickler import SmallPickler  # noqa: PLC0415 - as above

    found = _complete()
    pickler = SmallPickler(small=False)
    things = {name: value for name, value in found.items() if not name.startswith("__")}
    left_out = dump_others(pickler, things, found)
    definitions = _described(found, things.keys() - left_out.keys(), left_out)
    return Shipment(pickle.dumps(None), definitions, pickler.file.getvalue())


def _complete() -> Mapping[str, Any]:
    """Return the globals of the main module; one that stands for another takes up all that was sent of that."""
    main = main_module.current()
    main.complete()
    return main.namespace


def _described(
    found: Mapping[str, Any], others: Iterable[str], left_out: Mapping[str, str], *, far: bool = False
) -> Definitions:
    return Definitions(
        main_module.current().key,
        {name: found[name] for name in _KEPT if name in found},
        frozenset(others),
        left_out,
        _lines(found.get("__file__")) if far else (),
    )


def _by_reference(program: Any, hidden: Sequence[ModuleType]) -> bytes | None:
    try:
        data = pickle.dumps(program, 5)
    except Exception:  # whatever pickle cannot do is tried again by value, whose error counts
        return None
    is_complete = b"__main__" not in data and not any(module.__name__.encode() in data for module in hidden)
    return data if is_complete else None


def _defined(found: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what the main module defines itself; data is not even looked at."""
    for name, value in list(found.items()):
        kind: type[Any] = type(value)  # pyright: ignore[reportUnknownVariableType] - whatever it is
        if (kind is FunctionType or issubclass(kind, type) or kind in NAMED_KINDS) and value.__module__ == "__main__":
            yield name, value


def _lines(file: str | None) -> Sequence[str]:
    try:
        return Path(file).read_text(encoding="utf-8").splitlines(keepends=True) if file else ()
    except (OSError, UnicodeDecodeError):  # tracebacks go without its lines then
        return ()
