"""What a node needs to know of a function: its name, its signature, which inputs fit; worked out once."""

from __future__ import annotations

import inspect
from functools import partial
from types import BuiltinFunctionType, FunctionType
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from attrs import define, field

from kernel.errors import PipelineError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Callee", "callee_of"]

Shape = int | tuple[str, ...]


@define(eq=False, repr=False)
class Callee:
    """A function as nodes see it; `module` and `label` are its own, not those of what it wraps.

    `bound` remembers each shape of inputs that was found to fit (a number of positional values, or keyword
    names) and the order in which the function's signature has them.
    """

    label: str
    module: str
    signature: inspect.Signature | None
    is_generator: bool
    bound: dict[Shape, tuple[str, ...]] = field(factory=dict[Shape, tuple[str, ...]])

    def order(self, shape: Shape) -> tuple[str, ...]:
        """Return keyword names as the signature orders them, () for values; PipelineError if unfit."""
        found = self.bound.get(shape)
        if found is None:
            found = self.bound[shape] = self._bind(shape)
        return found

    def _bind(self, shape: Shape) -> tuple[str, ...]:
        if self.signature is None:
            return () if isinstance(shape, int) else shape
        try:
            if isinstance(shape, int):
                self.signature.bind(*range(shape))
                return ()
            # Each name stands for itself, so that the answer tells where the signature has it.
            ordered = self.signature.bind(**{name: name for name in shape})
        except TypeError as error:
            what = f"{shape} positional" if isinstance(shape, int) else f"keywords {', '.join(shape)}"
            raise PipelineError(
                f"inputs do not fit {self.label}({', '.join(self.signature.parameters)}), which does not "
                f"take {what}: {error}. Declare one input for each parameter without a default"
            ) from None
        return (*ordered.args, *ordered.kwargs.values())


_known: WeakKeyDictionary[Any, Callee] = WeakKeyDictionary()


def callee_of(func: Callable[..., Any]) -> Callee:
    """Return what is known of the function; PipelineError if it cannot be called."""
    # Only plain functions are remembered: they are compared by identity, other callables as they please.
    if type(func) is FunctionType or type(func) is BuiltinFunctionType:
        found = _known.get(func)
        if found is None:
            found = _known[func] = _examine(func)
        return found
    if not callable(func):
        raise PipelineError(f"func must be a function or another callable, got {type(func).__name__}")
    return _examine(func)


def _examine(func: Callable[..., Any]) -> Callee:
    if inspect.iscoroutinefunction(func) or inspect.isasyncgenfunction(func):
        raise PipelineError("its function is async, and nobody would await it: wrap it in one that calls asyncio.run")
    try:
        signature = inspect.signature(func, follow_wrapped=False)
    except (TypeError, ValueError):  # a builtin without a signature: its inputs are checked when it is called
        signature = None
    named = func
    label = "{}"
    while isinstance(named, partial):
        named = named.func
        label = label.format("partial({})")
    name = getattr(named, "__name__", None) or type(named).__name__
    module = getattr(named, "__module__", None) or type(named).__module__
    return Callee(label.format(name), module, signature, inspect.isgeneratorfunction(func))
