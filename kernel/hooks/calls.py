"""The hooks of a run or a worker: each is None when nobody listens, else it calls its listeners."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, cast

import pluggy

from kernel.errors import HookError
from kernel.hooks.blame import blame, blame_all
from kernel.hooks.check import HOOKS, WORKER_HOOKS, hooks_of, register
from kernel.hooks.travel import arrive, depart
from kernel.specs.callers import Caller, Callers

if TYPE_CHECKING:
    from kernel.hooks.listener import Listener
    from kernel.specs.tasks import ListenerRef

__all__ = ["Hooks"]


class Hooks(Callers):
    """The listeners of a run, or of a worker. Each hook is an attribute: None when nobody listens.

    A caller returns what pluggy does: a list of the answers that are not None, the last registered
    listener's first; or the first such answer where the hook asks for one. What a listener raises comes out
    as `HookError` with the original as its cause. Building it raises one `PluginError` with every
    implementation that fits no hook.
    """

    def __init__(self, listeners: Iterable[Listener] = ()) -> None:
        self.listeners = tuple(listeners)
        self._in_workers: Sequence[Listener] | None = None
        if not self.listeners:
            return  # a run without listeners does not pay for a registry
        registry = register(self.listeners)
        for name in HOOKS:
            hook: pluggy.HookCaller = getattr(registry.hook, name)
            if hook.get_hookimpls():
                setattr(self, name, self._frozen(hook))

    def _frozen(self, hook: pluggy.HookCaller) -> Caller:
        listeners = self.listeners

        def call(**arguments: Any) -> Any:
            try:
                return hook(**arguments)
            except (HookError, pluggy.HookCallError):
                raise  # blamed already, or a mistake of who called
            except Exception as error:
                raise blame(hook, listeners, error) from error

        return call

    def merge_inputs(
        self, results: Sequence[Any], node_name: str, inputs: Collection[str] | None = None
    ) -> dict[str, Any]:
        """Merge the answers of `before_node_run` into one mapping; the listener registered first wins.

        Raises a `HookError` when an answer is not a dict, or has a name that is none of the node's `inputs` (None: it
        is not looked at); of several listeners to this hook it names all.
        """
        merged: dict[str, Any] = {}
        for answer in results:  # the last registered comes first, so that the first registered overwrites it
            if not isinstance(answer, dict):
                raise self._bad_answer(
                    f"TypeError: for node {node_name!r} it returned a {type(answer).__name__}, not None or a "
                    f"dict of dataset names and their new values"
                )
            merged.update(cast("dict[str, Any]", answer))
        unknown = sorted(map(repr, merged.keys() - set(inputs))) if inputs is not None else ()
        if unknown:
            raise self._bad_answer(
                f"ValueError: it returned {', '.join(unknown)}, which is no input of node {node_name!r}; its inputs "
                f"are {', '.join(map(repr, inputs or ()))}"
            )
        return merged

    def _bad_answer(self, problem: str) -> HookError:
        asked = [each for each in self.listeners if "before_node_run" in hooks_of(each.plugin).values()]
        return blame_all(asked, "before_node_run", problem)

    def worker_refs(self) -> tuple[ListenerRef, ...]:
        """Return references to the listeners with a hook that is called in workers, in their order."""
        if self._in_workers is None:  # asked in each run of a warm runner
            listeners = self.listeners
            self._in_workers = [on for on in listeners if not WORKER_HOOKS.isdisjoint(hooks_of(on.plugin).values())]
        return tuple(map(depart, self._in_workers))

    @classmethod
    def from_refs(cls, refs: Iterable[ListenerRef]) -> Hooks:
        """Build the hooks of a worker. Raises `PluginError` for a listener that cannot be imported there."""
        return cls(arrive(ref) for ref in refs)
