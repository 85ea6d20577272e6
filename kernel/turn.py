"""The parts of one node's turn: load its inputs, call its function, save its outputs, each with its hooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from kernel.datasets.access import load as load_dataset
from kernel.datasets.access import save as save_dataset
from kernel.errors import DatasetError, HookError, RebuildError
from kernel.failure import capture
from kernel.held import Held, forget_held, hold, taken_over
from kernel.nodes.calling import bind_inputs, names_of, unpack_outputs
from kernel.processes import end_if_forked, this_process
from kernel.specs.tasks import MADE
from kernel.turn_catalog import TurnCatalog

if TYPE_CHECKING:
    from kernel.hooks import Hooks
    from kernel.specs.events import Failure
    from kernel.specs.tasks import NodeDetails, Program
    from kernel.worker import Worker

__all__ = ["NO_VALUE", "Turn", "failure_of"]

NO_VALUE = "{}: None was to be saved; a node that makes nothing declares no output"


def failure_of(
    program: Program, error: BaseException, place: str, names: Sequence[str], values: Sequence[Any] | None
) -> Failure:
    """Put a turn's error into a form that travels; `values` are those of the inputs while they are there."""
    kind = type(error)  # what a user's class says of itself may raise anything
    if issubclass(kind, RebuildError):
        cast("RebuildError", error).tell(_maker(program, cast("RebuildError", error).name))
    inputs = dict(zip(names, values, strict=True)) if values is not None and len(values) == len(names) else None
    return capture(error, "hook" if issubclass(kind, HookError) else place, inputs)


def _maker(program: Program, name: str) -> str:
    """Return the node that makes a dataset; empty when none of the run does."""
    made = zip(program.names, program.outputs, strict=True)
    return next((node for node, declared in made if name in names_of(declared)), "")


class Turn:
    """One try of one node; `place` says which part it is in."""

    __slots__ = ("_birth", "_made", "details", "index", "inputs", "outputs", "place", "tokens", "worker")

    def __init__(self, worker: Worker, index: int, details: NodeDetails) -> None:
        self.worker = worker
        self.index = index
        self.details = details
        self.inputs = names_of(worker.program.inputs[index])
        self.outputs = names_of(worker.program.outputs[index])
        self.place = "load"
        self._made: dict[str, Any] = {}
        self._birth = this_process.birth
        self.tokens: dict[str, Any] | None = None

    def end_if_forked(self, error: BaseException | None = None) -> None:
        """End this process if it was forked off during the turn: the turn goes on in the other, and there only."""
        end_if_forked(self._birth, error)

    # -- inputs ---------------------------------------------------------------------------------------------------

    def load(self, handles: Sequence[Any], last: int, made: dict[str, Any]) -> list[Any]:
        """Load every input in order; `handles` are those of the inputs made in this run, `last` as in `Turn`.

        `made` has, by name, the handle of what the turns before in the same chain made, or the value itself, `Held`.
        """
        program = self.worker.program
        free, datasets = program.free, program.datasets
        wanted: list[tuple[str, Any, bool]] = []
        at = 0
        for name in self.inputs:
            if name in free:
                wanted.append((name, free[name], False))
            elif name in datasets:
                wanted.append((name, None, False))
            else:
                handle = handles[at]
                wanted.append((name, made[name] if handle is MADE else handle, bool(last >> at & 1)))
                at += 1
        if program.is_async and wanted:
            values = self.worker.in_threads(self._load_one, wanted)
        else:
            values = [self._load_one(*each) for each in wanted]
        forget_held(self.inputs, made)
        if self.details.confirms:
            self.tokens = {name: self._token(name) for name in self.details.confirms}
        return values

    def _load_one(self, name: str, handle: Any, last: bool) -> Any:
        worker = self.worker
        hooks = worker.hooks
        if hooks.before_dataset_loaded is not None:
            hooks.before_dataset_loaded(dataset_name=name, node=worker.node(self.index))
        if name in worker.program.datasets:
            dataset = worker.dataset(name)
            if name in worker.written_elsewhere:
                dataset.release()
            value = load_dataset(name, dataset)
        elif type(handle) is Held:
            value = handle.value
        else:
            value = worker.program.store.load(name, handle, last)
        if hooks.after_dataset_loaded is not None:
            hooks.after_dataset_loaded(dataset_name=name, data=value, node=worker.node(self.index))
        return value

    def _token(self, name: str) -> Any:
        return self.worker.dataset(name).confirm_token() if name in self.worker.program.datasets else None

    # -- the function ---------------------------------------------------------------------------------------------

    def call(self, values: list[Any]) -> Sequence[Any]:
        """Run the function on loaded inputs; return its outputs in order."""
        if self.worker.hooks.before_node_run is not None:
            values = self._replaced(values)
        self.place = "run"
        program, index = self.worker.program, self.index
        try:
            args, kwargs = bind_inputs(program.inputs[index], values)
            result = program.functions[program.which[index]](*args, **kwargs)
            self.end_if_forked()
            outputs = unpack_outputs(program.names[index], program.outputs[index], result)
        except BaseException as error:
            self.end_if_forked(error)
            self._tell_error(error, values)
            raise
        self._tell_ran(values, outputs)
        self.place = "save"
        return outputs

    def run_generator(self, values: list[Any]) -> None:
        """Run a generator function: save each chunk as it comes; the last chunk of a value in memory stays."""
        if self.worker.hooks.before_node_run is not None:
            values = self._replaced(values)
        self.place = "run"
        program, index = self.worker.program, self.index
        name, declared = program.names[index], program.outputs[index]
        chunks = 0
        try:
            args, kwargs = bind_inputs(program.inputs[index], values)
            for item in program.functions[program.which[index]](*args, **kwargs):
                self.end_if_forked()
                outputs = unpack_outputs(name, declared, item)
                if not chunks:
                    self._tell_ran(values, outputs)
                chunks += 1
                superseded, self._made = self._made, {}
                self.place = "save"
                try:
                    self.save(outputs)
                finally:
                    for handle in superseded.values():
                        program.store.discard(handle)
                self.place = "run"
            self.end_if_forked()
            if not chunks and self.outputs:
                problem = f"node {name!r} is a generator that yielded nothing, so its outputs were never made"
                raise ValueError(problem)  # noqa: TRY301 - listeners hear of it as of any error of the node's body
        except BaseException as error:
            self.end_if_forked(error)
            if self.place == "run" and not issubclass(type(error), HookError):
                self._tell_error(error, values)
            raise

    def _replaced(self, values: list[Any]) -> list[Any]:
        """Ask listeners before the node runs; what they return replaces inputs, in this turn only."""
        self.place = "hook"
        before = self.worker.hooks.before_node_run
        assert before is not None
        inputs = dict(zip(self.inputs, values, strict=True))
        results = before(
            node=self.worker.node(self.index),
            catalog=self._catalog(inputs),
            inputs=dict(inputs),
            is_async=self.worker.program.is_async,
            run_id=self.worker.program.run_id,
        )
        replaced = cast("Hooks", self.worker.hooks).merge_inputs(
            results, self.worker.program.names[self.index], self.inputs
        )
        return [replaced.get(name, value) for name, value in zip(self.inputs, values, strict=True)]

    def _catalog(self, inputs: Mapping[str, Any]) -> TurnCatalog:
        return TurnCatalog(inputs, self.worker.dataset, self.worker.program.datasets)

    def _tell_ran(self, values: Sequence[Any], outputs: Sequence[Any]) -> None:
        after = self.worker.hooks.after_node_run
        if after is None:
            return
        inputs = dict(zip(self.inputs, values, strict=True))
        after(
            node=self.worker.node(self.index),
            catalog=self._catalog(inputs),
            inputs=inputs,
            outputs=dict(zip(self.outputs, outputs, strict=True)),
            is_async=self.worker.program.is_async,
            run_id=self.worker.program.run_id,
        )

    def _tell_error(self, error: BaseException, values: Sequence[Any]) -> None:
        tell = self.worker.hooks.on_node_error
        if tell is None:
            return
        inputs = dict(zip(self.inputs, values, strict=True))
        try:
            tell(
                error=error,
                node=self.worker.node(self.index),
                catalog=self._catalog(inputs),
                inputs=inputs,
                is_async=self.worker.program.is_async,
                run_id=self.worker.program.run_id,
            )
        except HookError as second:  # a listener on the error path may never mask the node's own error
            error.add_note(str(second))

    # -- outputs --------------------------------------------------------------------------------------------------

    def hold(self, outputs: Sequence[Any]) -> Held | None:
        """Do as the function `hold` says; but what listeners are shown is saved, for they may keep or change it."""
        return hold(self.worker.program.outputs[self.index], outputs) if self._is_unseen() else None

    def _is_unseen(self) -> bool:
        hooks = self.worker.hooks
        return hooks.before_dataset_saved is None and hooks.after_dataset_saved is None

    def save(self, outputs: Sequence[Any]) -> None:
        """Save every output, in order; asynchronously all at once where the run says so."""
        if self._is_unseen() and self.worker.program.datasets.keys().isdisjoint(self.outputs):
            handle = taken_over(self.worker.program.store, self.worker.program.outputs[self.index], outputs)
            if handle is not None:
                self._made[self.outputs[0]] = handle
                return
        if self.worker.program.is_async:
            for name, data in zip(self.outputs, outputs, strict=True):
                self._tell_saving(name, data)
            self.worker.in_threads(self._save_one, list(zip(self.outputs, outputs, strict=True)))
            return
        for name, data in zip(self.outputs, outputs, strict=True):
            self._tell_saving(name, data)
            self._save_one(name, data)

    def _tell_saving(self, name: str, data: Any) -> None:
        worker = self.worker
        if worker.hooks.before_dataset_saved is not None:
            worker.hooks.before_dataset_saved(dataset_name=name, data=data, node=worker.node(self.index))

    def _save_one(self, name: str, data: Any) -> None:
        worker = self.worker
        program = worker.program
        if name in program.datasets:
            save_dataset(name, worker.dataset(name), data)
        elif data is None:
            raise DatasetError(NO_VALUE.format(name))
        else:
            self._made[name] = program.store.save(name, data)
        self._tell_saved(name, data)

    def _tell_saved(self, name: str, data: Any) -> None:
        worker = self.worker
        if worker.hooks.after_dataset_saved is not None:
            worker.hooks.after_dataset_saved(dataset_name=name, data=data, node=worker.node(self.index))

    def saved(self, made: dict[str, Any]) -> tuple[list[Any], int]:
        """Return a handle for each output in memory, in order, and the bytes they take outside of the handles.

        They are added to `made`, for the turns that follow in the same chain.
        """
        made.update(self._made)
        handles = [self._made[name] for name in self.outputs if name in self._made]
        return handles, sum(map(self.worker.program.store.size, handles))

    def drop_cached(self) -> None:
        """Drop what this process caches of datasets that are made in the run: the runner's release is for its own."""
        for name in self.worker.written_elsewhere.intersection((*self.inputs, *self.outputs)):
            self.worker.dataset(name).release()

    def drop_saved(self) -> None:
        """Give back what this try saved: it failed, so nobody will be told of its values."""
        made, self._made = self._made, {}
        for handle in made.values():
            self.worker.program.store.discard(handle)
        self.tokens = None
