"""The turn of a node that nobody listens to, with values in memory only: what `kernel.turn` does, for much less.

Most nodes are such nodes, and most of a tiny node's cost is its turn; so this is one function without objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import time as clock
from typing import TYPE_CHECKING, Any

from kernel.errors import DatasetError
from kernel.held import Held, forget_held, hold, taken_over
from kernel.nodes.calling import bind_inputs, names_of, unpack_outputs
from kernel.notes import noted
from kernel.processes import end_if_forked, this_process
from kernel.specs.tasks import MADE
from kernel.turn import NO_VALUE, failure_of

if TYPE_CHECKING:
    from kernel.nodes.calling import DeclaredNames
    from kernel.specs.catalog import Store
    from kernel.specs.events import Row
    from kernel.specs.tasks import Program

__all__ = ["run_quietly"]


#: What earlier turns of a chain made, by name: handles and what is held. None outside of a chain.
Made = dict[str, Any] | None
Tell = Callable[[], None] | None


def run_quietly(
    program: Program, index: int, handles: Sequence[Any], last: int, attempt: int, made: Made, inner: int, tell: Tell
) -> Row:
    """Run one turn as `Worker.run` does, of a node without retries, listeners and persistent datasets.

    `tell` is called at once when the turn has failed.
    """
    declared, output, place = program.inputs[index], program.outputs[index], "load"
    function = program.functions[program.which[index]]
    values: Sequence[Any] | None = None
    saved: list[Any] = []
    failure = None
    notes: dict[str, Any] = {}
    token, birth = noted.set(notes), this_process.birth
    start = loaded = ran = clock()
    try:
        if declared is None:
            place = "run"
            result = function()
        else:
            values = _load(program, names_of(declared), handles, last, made)
            loaded = ran = clock()
            place = "run"
            result = function(values[0]) if type(declared) is str else _call(function, declared, values)
        if this_process.birth is not birth:
            end_if_forked(birth)
        outputs = (result,) if type(output) is str else unpack_outputs(program.names[index], output, result)
        ran, place, values, result = clock(), "save", None, None  # whoever else has it keeps it from being held
        size: int | None = _keep(program.store, output, outputs, made, inner, saved)
    except BaseException as error:  # SystemExit and KeyboardInterrupt of a node are that node's error as well
        end_if_forked(birth, error)
        if tell is not None:
            tell()
        failure = failure_of(program, error, place, names_of(declared), values)
        _discard(program.store, saved)
        size = 0
    noted.reset(token)
    handed = None if size is None else saved
    return index, handed, start, loaded, ran, clock(), size or 0, failure, attempt, notes or None, None


def _load(program: Program, names: Sequence[str], handles: Sequence[Any], last: int, made: Any) -> list[Any]:
    free, load = program.free, program.store.load
    values: list[Any] = []
    at = 0
    for name in names:
        if name in free:
            values.append(load(name, free[name]))
            continue
        handle = handles[at]
        if handle is MADE:
            handle = made[name]
        if type(handle) is Held:
            values.append(handle.value)
        else:
            values.append(load(name, handle, bool(last >> at & 1)))
        at += 1
    if made:
        forget_held(names, made)
    return values


def _call(function: Callable[..., Any], declared: Any, values: Sequence[Any]) -> Any:
    args, kwargs = bind_inputs(declared, values)
    return function(*args, **kwargs)


def _keep(
    store: Store, output: DeclaredNames, outputs: Sequence[Any], made: Made, inner: int, saved: list[Any]
) -> int | None:
    """Save each output to `saved` and return the bytes that they take outside of their handles; None: it is held."""
    if type(output) is str:
        if inner and made is not None:
            held = hold(output, outputs)
            if held is not None:
                made[output] = held
                return None
        handle = taken_over(store, output, outputs)
        if handle is not None:
            return _kept(store, output, handle, made, saved)
        return _keep_one(store, output, outputs[0], made, saved)
    return sum([_keep_one(store, *each, made, saved) for each in zip(names_of(output), outputs, strict=True)])


def _keep_one(store: Store, name: str, data: Any, made: Made, saved: list[Any]) -> int:
    if data is None:
        raise DatasetError(NO_VALUE.format(name))
    return _kept(store, name, store.save(name, data), made, saved)


def _kept(store: Store, name: str, handle: Any, made: Made, saved: list[Any]) -> int:
    saved.append(handle)
    if made is not None:
        made[name] = handle
    return store.size(handle)


def _discard(store: Store, saved: list[Any]) -> None:
    """Give back what a turn saved that failed: nobody will be told of its values."""
    for handle in saved:
        store.discard(handle)
    saved.clear()
