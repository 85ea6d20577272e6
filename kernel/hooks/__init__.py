"""Listeners and the hooks they hear: checked by pluggy, then frozen so that an unused hook is free."""

from kernel.hooks.calls import Hooks
from kernel.hooks.check import HOOKS, WORKER_HOOKS, hooks_of
from kernel.hooks.listener import Listener, resolve
from kernel.hooks.travel import unpicklable
from kernel.specs.callers import Caller

__all__ = [
    "HOOKS",
    "WORKER_HOOKS",
    "Caller",
    "Hooks",
    "Listener",
    "hooks_of",
    "resolve",
    "unpicklable",
]
