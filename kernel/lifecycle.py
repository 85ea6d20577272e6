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
from kernel.errors import ConfigError, DataLost, DatasetError, Interrupted, NodeError, ValidationError
from kernel.loop import Loop
from kernel.program import make_program
from kernel.report import RunReport
from kernel.result import Result
from kernel.sizing import pool_size, usable_cpus, useful_workers
from kernel.specs.catalog import ResumableCatalog
from kernel.specs.executor import HoldingExecutor
from kernel.validation import check_resources, distant_names, validate, validate_alone
from kernel.values.main_module import as_known
from kernel.work import Work, only_missing

if TYPE_CHECKING:
    from kernel.complaints import Complaints
    from kernel.datasets import Dataset
    from kernel.hooks import Hooks
    from kernel.pipelines import Pipeline, Plan
    from kernel.rules import Rules
    from kernel.specs.catalog import Catalog, CopyMode, Handle, Store
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
                pipeline = only_missing(pipeline, datasets)
            earlier = catalog.found() if isinstance(catalog, ResumableCatalog) else None
            with as_known(known=executor.capabilities.knows_main):
                result = self._run(Work.after(earlier, pipeline, datasets), executor, catalog)
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

    def _run(self, work: Work, executor: Executor, catalog: Catalog) -> Result:
        datasets, plan = work.datasets, work.rest.plan
        report = RunReport(plan.node_names, self.run_id)
        datasets.pin(plan.free_inputs)
        validate(work, executor, catalog, self.hooks, is_async=self.is_async)
        if not plan.nodes and not work.found:
            catalog.close()
            return Result((), datasets, report)
        modes = _copy_modes(plan, datasets)
        workers = self._workers(work.rest, executor)
        store = catalog.open(modes, executor.capabilities.reach, workers)
        catalog.adopt(work.found.keys(), work.found.values())
        if plan.nodes:
            report.workers = self._start(work, executor, catalog, store, workers)
            rules, persistent = self.rules, work.persistent
            loop = Loop(plan, datasets, persistent, executor, catalog, self.hooks, report, rules, frozenset(modes))
            _drive(loop, work)
        if isinstance(executor, HoldingExecutor):
            _bring(work.returned, executor, catalog)
        catalog.settle(work.returned)
        whole = work.whole.plan
        return Result(whole.free_outputs, datasets, report, (catalog, store), work.persistent, whole.maker)

    def _start(self, work: Work, executor: Executor, catalog: Catalog, store: Store, workers: int) -> int:
        """Have the catalog keep the values that exist before the run, start the workers, and return how many."""
        plan, datasets, persistent = work.rest.plan, work.datasets, work.persistent & work.rest.plan.names
        given = [name for name in plan.free_inputs if name not in persistent and name not in work.found]
        free = _keep(given, datasets, store, plan)
        catalog.adopt(free.keys(), free.values())
        free.update({name: work.found[name] for name in plan.free_inputs if name in work.found})
        program = make_program(
            plan,
            run_id=self.run_id,
            is_async=self.is_async,
            store=store,
            free=free,
            datasets=_builders(persistent, distant_names(work, executor), datasets),
            hooks=self.hooks,
            death_retries=self.rules.death_retries,
        )
        started = executor.start(program, workers)
        check_resources(work.rest, executor)
        if _log.isEnabledFor(logging.INFO):
            _log.info(
                "Running %d nodes on %d workers (%s), loading and saving %s.",
                len(plan.nodes),
                started,
                f"{self.workers} asked for" if self.workers else f"{usable_cpus()} CPUs usable",
                "asynchronously" if self.is_async else "synchronously",
            )
        return started

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
    with complaints.collected():
        validate_alone(Work.after(None, pipeline, _datasets(given)), is_async=is_async)
    complaints.raise_any()


def _drive(loop: Loop, work: Work) -> None:
    if isinstance(loop.catalog, ResumableCatalog):
        nodes = work.whole.plan.nodes
        loop.catalog.follow(lambda: [str(nodes[index]) for index in work.done(loop.done_nodes())])
    try:
        loop.run()
    except (NodeError, Interrupted) as error:
        error.resume = work.resume(work.done(loop.done_nodes()))
        if isinstance(loop.catalog, ResumableCatalog):
            error.catalog_options = loop.catalog.resume_options()
        raise


def _datasets(given: Datasets | Mapping[str, Any] | None) -> Datasets:
    """Return the datasets of one run: what is added or resolved for it is not seen by the next."""
    if given is not None and not isinstance(given, (Datasets, Mapping)):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        raise ConfigError(f"datasets are a mapping of names to values, not a {type(given).__name__}")
    return (given if isinstance(given, Datasets) else Datasets(given)).with_values({})


def _keep(names: Sequence[str], datasets: Datasets, store: Store, plan: Plan) -> dict[str, Handle]:
    """Save values that were given, and return their handles; raises `ValidationError` with all that cannot be."""
    kept: dict[str, Handle] = {}
    problems: list[str] = []
    for name in names:
        try:
            kept[name] = store.save(name, datasets.value(name))
        except DatasetError as error:
            problems.append(f"{error} (read by: {', '.join(plan.free_readers[name])})")
    if problems:
        raise ValidationError(problems)
    return kept


def _builders(names: frozenset[str], distant: frozenset[str], datasets: Datasets) -> dict[str, Callable[[], Dataset]]:
    """Return what gives a worker its datasets: the runner's own objects in its process, else new ones."""
    return {
        name: datasets.builder(name) if name in distant else partial(datasets.__getitem__, name)
        for name in sorted(names)
    }


def _copy_modes(plan: Plan, datasets: Datasets) -> dict[str, CopyMode]:
    declared = sorted(datasets.declared_among(plan.names))
    return {name: mode for name in declared if (mode := datasets.copy_mode(name)) is not None}


def _bring(names: Sequence[str], executor: HoldingExecutor, catalog: Catalog) -> None:
    """Have the catalog keep what the executor holds: outputs outlive its workers."""
    for name in names:
        try:
            catalog.adopt([name], executor.fetch([catalog.handle(name)]))
        except DataLost as error:
            raise DataLost([name], error.how) from error
