"""Whose fault an error in a hook is: the listener whose code is in its traceback."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

from kernel.errors import HookError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import FrameType

    import pluggy

    from kernel.hooks.listener import Listener

__all__ = ["blame", "blame_all"]


def blame(hook: pluggy.HookCaller, listeners: Sequence[Listener], error: Exception) -> HookError:
    """Build the error that names the listener whose code is deepest in the error's traceback.

    The deepest, because a wrapper around other listeners is in the traceback of their errors, too. Where none
    is found, all listeners of the hook are named. `listeners` are those registered, under their positions.
    """
    implementations = hook.get_hookimpls()
    suspects, trace = implementations, error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        here = [each for each in implementations if inspect.unwrap(each.function).__code__ is frame.f_code]
        # Two instances of one class share their code: then the frame's own object decides.
        suspects = [each for each in here if _first_argument(frame) is each.plugin] or here or suspects
        trace = trace.tb_next
    named = [listeners[int(each.plugin_name)] for each in suspects]
    return blame_all(named, hook.name, f"{type(error).__name__}: {error}")


def blame_all(listeners: Sequence[Listener], hook: str, problem: str) -> HookError:
    """Build the error of one of these listeners; which of them is not known when there are several."""
    names = dict.fromkeys(each.name for each in listeners)
    return HookError(hook, " or ".join(names) or "unknown", _shared(each.distribution for each in listeners), problem)


def _first_argument(frame: FrameType) -> Any:
    names = frame.f_code.co_varnames
    return frame.f_locals.get(names[0]) if names else None


def _shared(distributions: Iterable[str]) -> str:
    """Return the distribution that all come from, or ''."""
    found = set(distributions)
    return found.pop() if len(found) == 1 else ""
