"""Lets the executor begin while the project is still to be imported: both take long, and neither needs the other."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from attrs import field, frozen

from kernel.errors import KernelError
from kernel.plugins import build, load_executor
from kernel.processes import Home, leave_alone
from kernel.specs.executor import EarlyExecutor
from kernel.starting import refuse_endless_starts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from kernel.cli.request import Request
    from kernel.hooks import Hooks
    from kernel.specs.executor import Executor

__all__ = ["Ahead", "executor_options", "start_ahead"]


@frozen(eq=False)
class Ahead:
    """An executor that has begun, and what it was built of."""

    name: str
    options: Mapping[str, Any]
    executor: Executor
    _home: Home = field(factory=Home)

    def is_of(self, name: str | None, options: Mapping[str, Any]) -> bool:
        """Say whether it is what this plugin with these options would be, and this process's own."""
        return self._home.is_here and (self.name, self.options) == (name, options)

    def end(self) -> None:
        """End it, unless a run has done so; in a child that the project has forked off it is the other process's."""
        if self._home.is_here:
            self.executor.shutdown(cancel=True)
        else:
            leave_alone(self.executor)


def start_ahead(request: Request, hooks: Hooks) -> Ahead | None:
    """Build the executor that was asked for, or that the project's settings name, and let it begin.

    None where it has nothing to do yet; and where something is wrong, which the run itself will tell.
    """
    with suppress(KernelError):
        refuse_endless_starts()
        settings: Mapping[str, Any] = {}
        if hooks.load_settings is not None:
            settings = cast("Mapping[str, Any] | None", hooks.load_settings(path=request.path.resolve())) or {}
        own = settings.get("executor")
        name = request.executor or own
        factory = load_executor(name) if name else None
        if name and isinstance(factory, type) and issubclass(factory, EarlyExecutor):
            options = executor_options(request, (name == own and settings.get("executor_options")) or {})
            executor: Executor = build(cast("Callable[..., Executor]", factory), "executor", name, options)
            cast("EarlyExecutor", executor).prepare(request.workers, loading=True)
            return Ahead(name, options, executor)
    return None


def executor_options(request: Request, own: Mapping[str, Any]) -> dict[str, Any]:
    """Lay what the command says over the project's own options."""
    method = {} if request.start_method is None else {"start_method": request.start_method}
    return {**own, **request.executor_option, **method}
