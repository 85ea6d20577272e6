"""The caller's context on its way to workers: context variables, how decimals are reckoned, how NumPy takes errors."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Mapping, Sequence
from contextvars import Context, ContextVar, copy_context
from importlib import import_module
from types import ModuleType
from typing import Any

from attrs import frozen

__all__ = ["ContextState", "context_state", "entered"]

#: Where a variable is found: the module that has it, and the name that it has there.
Place = tuple[str, str]

#: A variable's value that takes more than this (bytes) stays at home.
_LARGEST = 1 << 20
_MOST_IN_VAIN = 1000


@frozen
class ContextState:
    """Values of variables, pickled one by one; those that were seen before and are not set; settings, None for usual.

    `decimal` are arguments of `decimal.Context`, `errors` those of `numpy.seterr`, with what it calls.
    """

    values: Mapping[Place, bytes]
    unset: Sequence[Place]
    decimal: Mapping[str, Any] | None
    errors: tuple[Mapping[str, str], Any] | None


#: Variables that were found, and with how many modules loaded others were looked for in vain.
_places: dict[ContextVar[Any], Place] = {}
_in_vain: dict[ContextVar[Any], int] = {}


def context_state() -> ContextState | None:
    """Look at the context of the caller; None when there is nothing in it that differs from a new one."""
    context = copy_context()
    values: dict[Place, bytes] = {}
    for variable, value in context.items():
        place = _place_of(variable)
        if place is not None and (packed := _packed(value)) is not None:
            values[place] = packed
    unset = [place for variable, place in _places.items() if variable not in context]
    settings = _decimal_now(), _errors_now()
    if not values and not unset and settings == (None, None):
        return None
    return ContextState(values, unset, *settings)


def _place_of(variable: ContextVar[Any]) -> Place | None:
    """Find a module that has this variable as an attribute; variables cannot be pickled."""
    place = _places.get(variable)
    if place is not None or _in_vain.get(variable) == len(sys.modules) or variable.name == "decimal_context":
        return place
    place = next((place for name in list(sys.modules) if (place := _inside(name, variable)) is not None), None)
    if place is not None and not _goes_by_itself(place[0].partition(".")[0]):
        _places[variable] = place
        return place
    if len(_in_vain) > _MOST_IN_VAIN:
        _in_vain.clear()
    _in_vain[variable] = len(sys.modules)
    return None


def _goes_by_itself(package: str) -> bool:
    """Say whether variables of a package are ours, or what is sent in another way."""
    return package in {"kernel", "numpy"} or package.startswith("kernel_")


def _inside(name: str, variable: ContextVar[Any]) -> Place | None:
    module: object = sys.modules.get(name)
    if not isinstance(module, ModuleType) or name == "__main__":
        return None  # what the main script makes there is made in no worker
    found = ModuleType.__getattribute__(module, "__dict__")
    return next(((name, key) for key, value in list(found.items()) if value is variable), None)


def _packed(value: Any) -> bytes | None:
    try:
        data = pickle.dumps(value, 5)
    except Exception:  # a connection, a lock: it belongs to this process
        return None
    return data if len(data) <= _LARGEST else None


def _decimal_now() -> Mapping[str, Any] | None:
    decimal = sys.modules.get("decimal")
    if decimal is None:
        return None
    now = decimal.getcontext()
    plain = {name: getattr(now, name) for name in ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")}
    traps = [signal for signal, is_set in now.traps.items() if is_set]
    if plain == _USUAL_DECIMAL and {signal.__name__ for signal in traps} == _USUAL_TRAPS:
        return None
    return {**plain, "traps": traps}


_USUAL_DECIMAL = {"prec": 28, "rounding": "ROUND_HALF_EVEN", "Emin": -999999, "Emax": 999999, "capitals": 1, "clamp": 0}
_USUAL_TRAPS = {"InvalidOperation", "DivisionByZero", "Overflow"}


def _errors_now() -> tuple[Mapping[str, str], Any] | None:
    numpy: Any = sys.modules.get("numpy")
    if not hasattr(numpy, "geterrcall"):  # it is not loaded, or not wholly
        return None
    errors, call = numpy.geterr(), numpy.geterrcall()
    if errors == _USUAL_ERRORS and call is None:
        return None
    return errors, _packed(call)


_USUAL_ERRORS = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}


# -- in the worker ----------------------------------------------------------------------------------------------------


def entered(state: ContextState | None) -> Context:
    """Make a context like the caller's; what this one has beside it stays."""
    context = copy_context()
    unset = [variable for place in state.unset if (variable := _at(place)) is not None] if state is not None else []
    if any(variable in context for variable in unset):  # a fork has it from a former time
        inherited, context = context, Context()
        for variable, value in inherited.items():
            if variable not in unset:
                context.run(variable.set, value)
    context.run(_enter, state)
    return context


def _at(place: Place) -> ContextVar[Any] | None:
    """Return a variable where its module is loaded: what nobody has loaded, nobody has set."""
    found: Any = getattr(sys.modules.get(place[0]), place[1], None)
    kind: Any = ContextVar
    return found if isinstance(found, kind) else None


def _enter(state: ContextState | None) -> None:
    values: Mapping[Place, bytes] = state.values if state is not None else {}
    for (module, name), packed in values.items():
        try:
            variable, value = getattr(import_module(module), name), pickle.loads(packed)
        except Exception:  # not to be had here: the variable is not set, as in any other process  # noqa: S112
            continue
        variable.set(value)
    wanted = state.decimal if state is not None else None
    if wanted is not None or "decimal" in sys.modules:
        import decimal  # noqa: PLC0415 - only where it is used

        decimal.setcontext(decimal.Context(**(wanted or {})))
    errors = state.errors if state is not None else None
    if errors is not None or hasattr(sys.modules.get("numpy"), "seterrcall"):
        _set_errors(*(errors or (_USUAL_ERRORS, None)))


def _set_errors(errors: Mapping[str, str], call: bytes | None) -> None:
    try:
        numpy: Any = import_module("numpy")
        function = None if call is None else pickle.loads(call)
    except Exception:  # the caller has it and this process does not, or not what it calls
        return
    numpy.seterr(**errors)
    numpy.seterrcall(function)
