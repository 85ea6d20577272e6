"""Errors on their way from a worker to the runner: captured as text that always travels, rebuilt where possible."""

from __future__ import annotations

import os
import pickle
import traceback
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from kernel.errors import NodeError
from kernel.specs.events import Failure
from kernel.values.by_value import by_value
from kernel.values.describing import described, said
from kernel.values.main_module import by_name

__all__ = ["capture", "rebuild"]

#: How many exceptions of a chain of causes are shown, and how many frames and characters of each: a chain of hundreds
#: of long causes would otherwise take minutes to format and pages to read. Of the frames the first are the way into the
#: user's code and the last are where it failed; an endless recursion lies between.
MOST_CAUSES = 8
#: How deep groups of exceptions in groups are shown.
MOST_DEPTH = 2
FIRST_FRAMES, LAST_FRAMES = 10, 30
MOST_CHARACTERS = 8_000
#: A pickled exception above this many bytes stays behind; its text crosses all the same.
MOST_BYTES = 1 << 20

_KERNEL = os.path.dirname(os.path.abspath(__file__)) + os.sep  # noqa: PTH100, PTH120 - pathlib costs a worker's start


def capture(error: BaseException, place: str, inputs: Mapping[str, Any] | None = None) -> Failure:
    """Put an error into a form that can be pickled whatever it is.

    `place` says which part of the turn raised it; of the values of `inputs` only type and shape are told.
    """
    shapes = {name: described(value) for name, value in (inputs or {}).items()}
    return Failure(place, _type_name(error), _message(error), _text(error), _pickled(error), shapes)


def rebuild(failure: Failure, node: str, worker: int | None) -> NodeError:
    """Make the error that the caller of the run gets; its `cause` is the original where it could be rebuilt."""
    cause = _unpickled(failure.pickled)
    error = NodeError(node, failure.type_name, failure.message, failure.traceback, cause, worker)
    error.inputs = failure.inputs
    error.__cause__ = cause
    return error


def _type_name(error: BaseException) -> str:
    kind = type(error)
    try:
        module, name = kind.__module__, f"{kind.__qualname__}"
        shown = name if module in {"builtins", "__main__"} else f"{module}.{name}"
    except BaseException:  # a metaclass, or a property of that name, may do anything
        shown = type.__repr__(kind)
    return shown


def _message(error: BaseException) -> str:
    """Return what an error says; of a group also what each of its members says."""
    lines = [_said(error), *(f"{_type_name(each)}: {_said(each)}" for each in _members(error))]
    return _cut("\n".join(lines), " ")


def _said(error: BaseException) -> str:
    return _cut(said(error), " ")


def _text(error: BaseException) -> str:
    """Format the chain of causes, the oldest first as Python does, without the kernel's own frames at the top."""
    parts: list[str] = []
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        if len(parts) == MOST_CAUSES:
            parts.append("(earlier causes are left out)\n")
            break
        seen.add(id(current))
        parts.append(_one(current))
        current = _led_to(current)
    return "\nwhich led to:\n\n".join(reversed(parts))


def _led_to(error: BaseException) -> BaseException | None:
    try:
        cause: object = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    except BaseException:  # a class may have properties in their place, which raise whatever they like
        return None
    return cause if isinstance(cause, BaseException) else None


def _one(error: BaseException, depth: int = MOST_DEPTH) -> str:
    try:
        frames = _frames(_user_frames(error.__traceback__))
        notes = "".join(f"{note}\n" for note in getattr(error, "__notes__", ()))
    except BaseException as second:  # source files may be gone, attributes raise: the type and message still cross
        frames, notes = [f"  (no traceback: {type(second).__name__})\n"], ""
    head = "Traceback (most recent call last):\n" if frames else ""
    members = _members(error) if depth else ()
    parts = [f"  | {line}\n" for each in members for line in _one(each, depth - 1).splitlines()]
    return f"{head}{_cut(''.join(frames))}{_type_name(error)}: {_said(error)}\n{notes}{_cut(''.join(parts))}"


def _members(error: BaseException) -> Sequence[BaseException]:
    """List what a group of exceptions consists of, as far as it is shown."""
    if not issubclass(type(error), BaseExceptionGroup):
        return ()
    found: Any = error
    try:
        return [each for each in found.exceptions[:MOST_CAUSES] if isinstance(each, BaseException)]
    except BaseException:  # of a class that hides them
        return ()


def _frames(trace: TracebackType | None) -> list[str]:
    """Format the frames; of many, the first and the last."""
    left_out = sum(1 for _ in traceback.walk_tb(trace)) - FIRST_FRAMES - LAST_FRAMES
    if left_out <= 0:
        return traceback.format_list(traceback.extract_tb(trace))
    first = traceback.format_list(traceback.extract_tb(trace, limit=FIRST_FRAMES))
    last = traceback.format_list(traceback.extract_tb(trace, limit=-LAST_FRAMES))
    return [*first, f"  [... {left_out} frames left out ...]\n", *last]


def _user_frames(trace: TracebackType | None) -> TracebackType | None:
    """Skip the frames of the kernel that lead to the user's; where there are only such, keep them all."""
    rest = trace
    while rest is not None and rest.tb_frame.f_code.co_filename.startswith(_KERNEL):
        rest = rest.tb_next
    return rest if rest is not None else trace


def _cut(text: str, between: str = "\n") -> str:
    """Leave out the middle of a text that is too long; a message that was one line stays one."""
    if len(text) <= MOST_CHARACTERS:
        return text
    half = MOST_CHARACTERS // 2
    return f"{text[:half]}{between}[... {len(text) - 2 * half} characters left out ...]{between}{text[-half:]}"


def _pickled(error: BaseException) -> bytes | None:
    """Pickle the exception if it can also be rebuilt: one that cannot would break whoever reads it."""
    for dumps in (_dumps_by_reference, by_value):
        try:
            data = dumps(error)
            if len(data) > MOST_BYTES:
                return None
            rebuilt = pickle.loads(data)
        except BaseException:  # noqa: S112 - user-made __reduce__ and __init__ raise anything; the text crosses anyway
            continue
        if type(rebuilt) is type(error):
            return data
    return None


def _dumps_by_reference(error: BaseException) -> bytes:
    data = pickle.dumps(error, 5)
    if b"__main__" in data and not by_name():
        raise pickle.PicklingError("what the main script defines is not importable elsewhere")
    return data


def _unpickled(data: bytes | None) -> BaseException | None:
    if data is None:
        return None
    try:
        error = pickle.loads(data)
    except BaseException:  # what loads in the worker may still fail here (a module only it can import)
        return None
    return error if isinstance(error, BaseException) else None
