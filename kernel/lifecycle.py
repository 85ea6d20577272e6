"""The life of one run: what is to be run, is it possible, run it, and hand over what it made."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from attrs import define, field

from kernel.datasets import Datasets
from kernel.errors import ConfigError, DataLost, Interrupted, NodeError, ValidationError
from kernel.loop import Loop
from kernel.pipelines import Pipeline
from kernel.program import make_program
from kernel.report import RunReport
from kernel.result import Result
from kernel.resume import missing_nodes, resume_from, unfinished_nodes
from kernel.sizing import pool_size, usable_cpus, useful_workers
from kernel.specs.catalog import ResumableCatalog
from kernel.specs.executor import HoldingExecutor
from kernel.validation import check_resources, distant_names, validate, validate_alone

if TYPE_CHECKING:
    from kernel.complaints import Complaints
    from kernel.datasets import Dataset
    from kernel.hooks import Hooks
    from kernel.pipelines import Plan
    from kernel.rules import Rules
    from kernel.specs.catalog import Catalog, CopyMode, Found, Handle, Store
    from kernel.specs.executor import Executor

__all__ = ["Lifecycle", "refuse"]

_log = logging.getLogger("kernel")


def _new_run_id() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H.%M.%S.%f")[:-3] + "Z"


@define(eq=False, repr=False)
class Lifecycle:
    """One run with its listeners, its rules and what listeners are told of it."""

    hooks: Hooks
    rules: Rules
    run_params: Mapping[str, Any]
    given_run_id: str | None
    workers: int | None
    is_async: bool = field(kw_only=True)
    run_id: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.run_id = self.given_run_id or _new_run_id()

    def run(
        self,
        pipeline: Pipeline,
        given: Datasets | Mapping[str, Any] | None,
        executor: Executor,
        catalog: Catalog,
        only_missing_outputs: bool,
    ) -> Result:
        """Run the pipeline; raises what `Runner.run` says, after telling listeners."""
        datasets = _datasets(given)
        params = {**self.run_params, "run_id": self.run_id, "only_missing_outputs": only_missing_outputs}
        told: dict[str, Any] = {"run_params": params, "pipeline": pipeline, "catalog": datasets}
        begun = perf_counter()
        try:
            if self.hooks.before_pipeline_run is not None:
                self.hooks.before_pipeline_run(**told)
            if only_missing_outputs:
                pipeline = _only_missing(pipeline, datasets)
            result = self._run(pipeline, datasets, executor, catalog)
            if self.hooks.after_pipeline_run is not None:
                self.hooks.after_pipeline_run(run_result=result, **told)
        except BaseException as error:  # an interrupt is told to listeners, too; it is raised again as it came
            catalog.close()
            self._tell_error(error, told)
            raise
        _log.info("Pipeline execution completed successfully in %.1f sec.", perf_counter() - begun)
        return result

    def _tell_error(self, error: BaseException, told: Mapping[str, Any]) -> None:
        if self.hooks.on_pipeline_error is None:
            return
        try:
            self.hooks.on_pipeline_error(error=error, **told)
        except Exception as second:  # the first error wins: a listener on the error path may never mask it
            error.add_note(str(second))

    def _run(self, pipeline: Pipeline, datasets: Datasets, executor: Executor, catalog: Catalog) -> Result:
        whole, taken = pipeline, dict[str, "Handle"]()
        if isinstance(catalog, ResumableCatalog) and (found := catalog.found()) is not None:
            pipeline, taken = _go_on(pipeline, datasets, found)
        plan = pipeline.plan
        report = RunReport(plan.node_names, self.run_id)
        datasets.pin(plan.free_inputs)
        persistent = _persistent(pipeline, datasets)
        everywhere = persistent if whole is pipeline else _persistent(whole, datasets)
        validate(pipeline, datasets, persistent, executor, catalog, self.hooks, is_async=self.is_async, found=taken)
        if not plan.nodes and not taken:
            catalog.close()
            return Result((), datasets, report)
        modes = _copy_modes(pipeline, datasets)
        workers = self._workers(pipeline, executor)
        store = catalog.open(modes, executor.capabilities.reach, workers)
        catalog.adopt(taken.keys(), taken.values())
        if plan.nodes:
            self._start(pipeline, datasets, persistent, (catalog, store, taken), executor, workers, report)
            loop = Loop(plan, datasets, persistent, executor, catalog, self.hooks, report, self.rules, frozenset(modes))
            _drive(loop, whole.plan, everywhere)
        keep = [name for name in whole.plan.free_outputs if name not in everywhere]
        if isinstance(executor, HoldingExecutor):
            _bring(keep, executor, catalog)
        catalog.settle(keep)
        return Result(whole.plan.free_outputs, datasets, report, (catalog, store), everywhere)

    def _start(
        self,
        pipeline: Pipeline,
        datasets: Datasets,
        persistent: frozenset[str],
        memory: tuple[Catalog, Store, Mapping[str, Handle]],
        executor: Executor,
        workers: int,
        report: RunReport,
    ) -> None:
        """Have the catalog keep the values that exist before the run, but for those it has, and start the workers."""
        plan = pipeline.plan
        catalog, store, taken = memory
        given = [name for name in plan.free_inputs if name not in persistent and name not in taken]
        free = {name: store.save(name, datasets.value(name)) for name in given}
        catalog.adopt(free.keys(), free.values())
        free.update({name: taken[name] for name in plan.free_inputs if name in taken})
        program = make_program(
            plan,
            run_id=self.run_id,
            is_async=self.is_async,
            store=store,
            free=free,
            datasets=_builders(persistent, distant_names(pipeline, persistent, executor), datasets),
            hooks=self.hooks,
            death_retries=self.rules.death_retries,
        )
        report.workers = executor.start(program, workers)
        check_resources(pipeline, executor)
        if _log.isEnabledFor(logging.INFO):
            _log.info(
                "Running %d nodes on %d workers (%s), loading and saving %s.",
                len(plan.nodes),
                report.workers,
                f"{self.workers} asked for" if self.workers else f"{usable_cpus()} CPUs usable",
                "asynchronously" if self.is_async else "synchronously",
            )

    def _workers(self, pipeline: Pipeline, executor: Executor) -> int:
        useful = self._useful(pipeline)
        asked = useful if executor.capabilities.sizes and self.workers is None else self.workers
        return pool_size(useful, asked)

    def _useful(self, pipeline: Pipeline) -> int:
        if self.hooks.required_workers is not None:
            said: int | None = self.hooks.required_workers(pipeline=pipeline, asked=self.workers)
            if said is not None:
                return said
        return useful_workers(pipeline)


def refuse(
    complaints: Complaints, pipeline: Pipeline, given: Datasets | Mapping[str, Any] | None, *, is_async: bool
) -> None:
    """Raise what was found already, together with what else is wrong with the run: it cannot start anyway."""
    datasets = _datasets(given)
    with complaints.collected():
        validate_alone(pipeline, datasets, _persistent(pipeline, datasets), is_async=is_async)
    complaints.raise_any()


def _drive(loop: Loop, whole: Plan, persistent: frozenset[str]) -> None:
    """Run the loop. Its plan may be the rest of the whole: then what is not in it was done before.

    `persistent` are those of the whole's datasets that do not live in memory.
    """
    rest = loop.plan

    def done() -> list[int]:
        names = {rest.nodes[index].name for index in loop.done_nodes()}
        return [index for name, index in whole.index.items() if name in names or name not in rest.index]

    if isinstance(loop.catalog, ResumableCatalog):
        loop.catalog.follow(lambda: [str(whole.nodes[index]) for index in done()])
    try:
        loop.run()
    except (NodeError, Interrupted) as error:
        finished = done()
        error.resume = resume_from(whole, finished, persistent.__contains__)
        _suggest_resuming(len(whole.nodes) - len(finished), error.resume)
        raise


def _datasets(given: Datasets | Mapping[str, Any] | None) -> Datasets:
    """Return the datasets of one run: what is added or resolved for it is not seen by the next."""
    if given is not None and not isinstance(given, (Datasets, Mapping)):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        raise ConfigError(f"datasets are a mapping of names to values, not a {type(given).__name__}")
    return (given if isinstance(given, Datasets) else Datasets(given)).with_values({})


def _persistent(pipeline: Pipeline, datasets: Datasets) -> frozenset[str]:
    return frozenset(filter(datasets.is_persistent, datasets.declared_among(pipeline.plan.names)))


def _builders(names: frozenset[str], distant: frozenset[str], datasets: Datasets) -> dict[str, Callable[[], Dataset]]:
    """Return what gives a worker its datasets: the runner's own objects in its process, else new ones."""
    return {
        name: datasets.builder(name) if name in distant else partial(datasets.__getitem__, name)
        for name in sorted(names)
    }


def _copy_modes(pipeline: Pipeline, datasets: Datasets) -> dict[str, CopyMode]:
    declared = sorted(datasets.declared_among(pipeline.plan.names))
    return {name: mode for name in declared if (mode := datasets.copy_mode(name)) is not None}


def _only_missing(pipeline: Pipeline, datasets: Datasets) -> Pipeline:
    plan = pipeline.plan
    reasons = missing_nodes(plan, datasets.is_persistent, datasets.exists)
    for index in sorted(reasons):
        _log.debug("Node %r runs: %s.", plan.nodes[index].name, reasons[index])
    skipped = sorted(node.name for index, node in enumerate(plan.nodes) if index not in reasons)
    if not reasons:
        _log.info("Skipping all %d nodes (all persistent outputs exist).", len(skipped))
    elif skipped:
        _log.info("Skipping %d nodes with existing outputs: %s.", len(skipped), ", ".join(skipped))
    return pipeline.only_nodes(*(plan.nodes[index].name for index in sorted(reasons))) if reasons else Pipeline([])


def _go_on(pipeline: Pipeline, datasets: Datasets, found: Found) -> tuple[Pipeline, dict[str, Handle]]:
    """Return what is left to run after an earlier run, and the values of it that this needs or that are outputs."""
    whole = pipeline.plan
    if strange := sorted(set(found.nodes).difference(map(str, whole.nodes))):
        problem = (
            f"the run to go on with did {len(strange)} nodes that this one does not have, such as {strange[0]}: "
            f"it has to be the same pipeline, and the same selection of its nodes"
        )
        raise ValidationError([problem])
    persistent = _persistent(pipeline, datasets)

    def is_there(name: str) -> bool:
        return datasets.exists(name) if name in persistent else name in found.values

    names = unfinished_nodes(whole, found.nodes, is_there)
    rest = pipeline.only_nodes(*names) if names else Pipeline([])
    _log.info("%d of %d nodes are done already.", len(whole.nodes) - len(names), len(whole.nodes))
    needed = [name for name in (*rest.plan.free_inputs, *whole.free_outputs) if name in whole.made]
    made = rest.plan.made
    return rest, {name: found.values[name] for name in needed if name in found.values and name not in made}


def _bring(names: Sequence[str], executor: HoldingExecutor, catalog: Catalog) -> None:
    """Have the catalog keep what the executor holds: outputs outlive its workers."""
    for name in names:
        try:
            catalog.adopt([name], executor.fetch([catalog.handle(name)]))
        except DataLost as error:
            raise DataLost([name], error.how) from error


def _suggest_resuming(left: int, resume: tuple[str, ...]) -> None:
    if resume:
        _log.info("%d nodes have not run. To go on from here: --from-nodes %r", left, ",".join(resume))
    else:
        _log.info("No nodes ran. Repeat the previous command to attempt a new run.")
