"""Runs pipelines: the frame around the loop, from validation to the result."""

from __future__ import annotations

from _thread import allocate_lock  # `threading` takes a millisecond to import
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from kernel import defaults
from kernel.complaints import Complaints
from kernel.errors import ConfigError, KernelError, NodeError
from kernel.processes import Home, leave_alone
from kernel.rules import OnFailure, Rules
from kernel.sizing import check_workers
from kernel.starting import refuse_endless_starts

if TYPE_CHECKING:
    from kernel.datasets import Datasets
    from kernel.hooks import Hooks, Listener
    from kernel.pipelines import Pipeline
    from kernel.result import Result
    from kernel.specs.catalog import Catalog
    from kernel.specs.executor import Executor

__all__ = ["ParallelRunner", "Runner", "run"]


class Runner:
    """Runs pipelines on one executor; as a context manager it keeps the workers warm between runs.

    `executor` and `catalog` name plugins (None: sequential, and the catalog that suits the executor), or are factories
    of them (a class, a function), which need not be installed; their own options go into `executor_options` and
    `catalog_options`. `workers` is the most workers to use (None: as many as the pipeline can use and this process has
    CPUs), `start_method` how a process executor makes them. `is_async` loads and saves the datasets of a node in
    threads. `hooks` are listeners: objects, classes or modules with methods marked `hookimpl`; those installed as
    plugins listen as well unless `plugins` is False or `no_plugins` names them. `on_failure` says what else still runs
    when a node has failed, `death_retries` how often a node runs again whose worker died, `grace_s` how many seconds
    running nodes get when the run is interrupted.

    In a process that was forked off its own, workers and memory are the other's: it leaves them alone and starts anew.

    Raises ConfigError (a ValueError) for bad values, before any process is started.
    """

    def __init__(
        self,
        executor: str | Callable[..., Executor] | None = None,
        catalog: str | Callable[..., Catalog] | None = None,
        *,
        workers: int | None = None,
        is_async: bool = False,
        start_method: str | None = None,
        hooks: Sequence[Any] = (),
        on_failure: OnFailure = "stop",
        death_retries: int = 1,
        grace_s: float = 3.0,
        executor_options: Mapping[str, Any] | None = None,
        catalog_options: Mapping[str, Any] | None = None,
        plugins: bool = True,
        no_plugins: Sequence[str] = (),
    ) -> None:
        self.workers = check_workers(workers)
        self.is_async = is_async
        self._executor_factory = executor or defaults.EXECUTOR
        self._catalog_factory = catalog
        self.executor_name = _name_of_plugin(self._executor_factory)
        self._rules = Rules(on_failure, death_retries, grace_s)
        self._executor_options = dict(executor_options or {})
        if start_method is not None:
            self._executor_options["start_method"] = start_method
        self._catalog_options = dict(catalog_options or {})
        self._given_hooks = tuple(hooks)
        self._plugins = plugins
        self._no_plugins = tuple(no_plugins)
        self._last_hooks: Hooks | None = None
        self._executor: Executor | None = None
        #: Those that nodes name, by name.
        self._others: dict[str, Executor] = {}
        self._next_catalog: Catalog | None = None
        self._warm = False
        self._busy = allocate_lock()
        self._home = Home()

    def __enter__(self) -> Self:
        self._warm = True
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the workers. The runner can be used again; results stay readable."""
        self._warm = False
        self._shutdown(cancel=False)

    def _disown(self) -> None:
        """In a process that was forked off, leave to the other one what is its own."""
        if not self._home.is_here:
            leave_alone(self._executor, self._others, self._next_catalog)
            self._executor, self._others, self._next_catalog = None, {}, None
            self._busy, self._home = allocate_lock(), Home()

    def _shutdown(self, *, cancel: bool) -> None:
        self._disown()
        executors = [*self._others.values(), *([self._executor] if self._executor is not None else [])]
        self._executor, self._others = None, {}
        for executor in executors:
            executor.shutdown(cancel=cancel)
        catalog, self._next_catalog = self._next_catalog, None
        if catalog is not None:
            catalog.close()

    def run(
        self,
        pipeline: Pipeline,
        datasets: Datasets | Mapping[str, Any] | None = None,
        *,
        only_missing_outputs: bool = False,
        run_params: Mapping[str, Any] | None = None,
        run_id: str | None = None,
    ) -> Result:
        """Run a pipeline and return the values of its free outputs.

        `datasets` maps names to values, which are used as they are, or to `Dataset` objects; names that are not in it
        live in memory. With `only_missing_outputs`, nodes whose outputs all exist are left out. `run_params` are told
        to listeners; `run_id` names the run (None: made from the time).

        Raises ValidationError before anything ran, NodeError (or its kind WorkerLost) when a node failed, Interrupted
        when a signal ended the run. Errors of nodes carry `node`, `cause` and `resume`.
        """
        _check_pipeline(pipeline)
        refuse_endless_starts()
        self._disown()
        busy = self._busy
        if not busy.acquire(blocking=False):
            raise ConfigError("this Runner is in another run: it does one at a time. Make one for each thread")
        try:
            return self._run(pipeline, datasets, only_missing_outputs, run_params or {}, run_id)
        finally:
            busy.release()  # that of the process in which the run began, wherever it ends

    def _run(
        self,
        pipeline: Pipeline,
        datasets: Datasets | Mapping[str, Any] | None,
        only_missing_outputs: bool,
        run_params: Mapping[str, Any],
        run_id: str | None,
    ) -> Result:
        hooks = self._hooks()
        clean = False
        try:
            complaints = Complaints()
            with complaints.collected():
                executor = self._get_executor(pipeline)
                if pipeline.nodes:
                    self._prepare()
                catalog = self._new_catalog(executor, pipeline)
            from kernel.lifecycle import Lifecycle, refuse  # noqa: PLC0415 - loaded while workers are prepared

            life = Lifecycle(hooks, self._rules, run_params, run_id, self.workers, is_async=self.is_async)
            if complaints:
                refuse(complaints, pipeline, datasets, is_async=self.is_async)
            result = life.run(pipeline, datasets, executor, catalog, only_missing_outputs)
            clean = True
        except (ConfigError, NodeError):
            clean = True  # nothing was run, or the loop ended in order: the workers can serve the next run
            raise
        finally:
            if not self._warm or not clean:
                self._shutdown(cancel=not clean)
        return result

    def use(self, executor: Executor) -> None:
        """Take an executor that was built ahead of the first run; that it is the right one, the caller has seen to."""
        self._executor = executor

    def _prepare(self) -> None:
        from kernel.specs.executor import EarlyExecutor  # noqa: PLC0415 - only when a run starts

        if isinstance(self._executor, EarlyExecutor):
            self._executor.prepare(self.workers, loading=False)

    def _hooks(self) -> Hooks:
        from kernel.hooks import Hooks, Listener  # noqa: PLC0415 - only when a run starts

        listeners: list[Listener] = []
        if self._plugins:
            from kernel.plugins import load_listeners  # noqa: PLC0415 - looking for plugins is not free

            listeners += load_listeners(self._no_plugins)
        for given in self._given_hooks:
            listeners.append(given if isinstance(given, Listener) else Listener(_name_of(given), given))
        last = self._last_hooks
        if last is None or [id(each.plugin) for each in last.listeners] != [id(each.plugin) for each in listeners]:
            last = self._last_hooks = Hooks(listeners)  # a registry takes milliseconds to make
        return last

    def _get_executor(self, pipeline: Pipeline) -> Executor:
        from kernel.plugins import build, load_executor, register_values  # noqa: PLC0415 - only when a run starts

        register_values()
        if self._executor is None:
            given = self._executor_factory
            factory = load_executor(given) if isinstance(given, str) else given
            self._executor = build(factory, "executor", self.executor_name, self._executor_options)
        wanted = {node.policy.executor for node in pipeline.plan.special.values()} - {None, self.executor_name}
        if not wanted:
            return self._executor
        from kernel.several import Several  # noqa: PLC0415 - few pipelines name executors

        complaints = Complaints()
        for name in sorted(filter(None, wanted)):
            if name not in self._others:
                with complaints.collected(), _on_behalf_of(name, pipeline):
                    self._others[name] = build(load_executor(name), "executor", name, {})
        complaints.raise_any()
        return Several(self.executor_name, self._executor, {name: self._others[name] for name in wanted if name})

    def _new_catalog(self, executor: Executor, pipeline: Pipeline) -> Catalog:
        from kernel.plugins import build, load_catalog  # noqa: PLC0415 - only when a run starts
        from kernel.specs.catalog import WarmCatalog  # noqa: PLC0415 - as above

        catalog, self._next_catalog = self._next_catalog, None
        if catalog is None:
            given = self._catalog_factory or executor.default_catalog
            factory = load_catalog(given) if isinstance(given, str) else given
            catalog = build(factory, "catalog", _name_of_plugin(given), self._catalog_options)
        if self._warm and isinstance(catalog, WarmCatalog):
            self._next_catalog = catalog.successor()
        own = self._executor
        assert own is not None
        if executor is own:
            return catalog
        from kernel.apart import apart, names_apart  # noqa: PLC0415 - few pipelines name executors

        names = names_apart(pipeline, executor)
        nearest = min((own, *self._others.values()), key=lambda each: each.capabilities.reach)
        return apart(catalog, load_catalog(nearest.default_catalog)(), names) if names else catalog


@contextmanager
def _on_behalf_of(executor: str, pipeline: Pipeline) -> Generator[None]:
    """Have an error say which nodes name the executor."""
    try:
        yield
    except KernelError as error:
        nodes = [node.name for node in pipeline.plan.special.values() if node.policy.executor == executor]
        more = f" and {len(nodes) - 1} more" if len(nodes) > 1 else ""
        raise ConfigError(f"node {nodes[0]!r}{more}: {error}") from error


def _name_of_plugin(given: str | Callable[..., Any]) -> str:
    """Return the name of a plugin, or of a factory that was given in its place."""
    return given if isinstance(given, str) else str(getattr(given, "__name__", type(given).__name__))


def _check_pipeline(pipeline: object) -> None:
    if not hasattr(pipeline, "plan"):
        kind = type(pipeline).__name__
        raise ConfigError(f"a Pipeline is what runs, not a {kind}: put the nodes into pipeline([...])")


def _name_of(listener: object) -> str:
    named = listener if hasattr(listener, "__name__") else type(listener)
    return str(getattr(named, "__qualname__", None) or getattr(named, "__name__", repr(type(listener))))


class ParallelRunner(Runner):
    """The runner on worker processes that share memory.

    `max_workers` is the most workers to use (None: as many as the pipeline can use and this process has CPUs);
    `is_async` loads and saves the inputs and outputs of a node in threads. Raises ConfigError (a ValueError) for a
    number that is not a positive integer.
    """

    def __init__(self, max_workers: int | None = None, is_async: bool = False, **options: Any) -> None:
        super().__init__(defaults.PARALLEL_EXECUTOR, workers=max_workers, is_async=is_async, **options)


def run(
    pipeline: Pipeline,
    datasets: Datasets | Mapping[str, Any] | None = None,
    *,
    only_missing_outputs: bool = False,
    run_params: Mapping[str, Any] | None = None,
    run_id: str | None = None,
    **options: Any,
) -> Result:
    """Run a pipeline once: `Runner(**options).run(pipeline, datasets, ...)`, its workers ended before it returns."""
    return Runner(**options).run(
        pipeline, datasets, only_missing_outputs=only_missing_outputs, run_params=run_params, run_id=run_id
    )
