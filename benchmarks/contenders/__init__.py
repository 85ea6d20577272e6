"""Who is measured: ways to run a graph, each in a file of its own that is imported only in its contender's process."""

from __future__ import annotations

from importlib.util import find_spec

from attrs import field, frozen

WARM, COLD = "warm", "cold"


@frozen
class Contender:
    """A way to run graphs: `place` names a function that returns a context manager of a `Way`.

    `needs` are modules; where one is missing, the contender is left out. `quick` are the modes of a quick run. `heavy`
    ones take seconds to start, `alone` ones listen on every interface and are therefore started where there is none but
    the loopback.
    """

    name: str
    place: str
    modes: tuple[str, ...] = (WARM, COLD)
    needs: tuple[str, ...] = ()
    quick: tuple[str, ...] = field(default=(), kw_only=True)
    heavy: bool = field(default=False, kw_only=True)
    alone: bool = field(default=False, kw_only=True)

    @property
    def missing(self):
        return [module for module in self.needs if find_spec(module) is None]


def _of(module, function):
    return f"benchmarks.contenders.{module}:{function}"


#: Engines as one uses them by themselves, and this project's executors on them.
ENGINES = (
    Contender("loky", _of("loop", "on_loky"), (WARM,), needs=("loky",)),
    Contender("futures on loky", _of("runners", "on_loky"), (WARM,), needs=("loky",)),
    Contender("Dask, submit", _of("dask_cluster", "submitted"), (WARM,), needs=("distributed",), heavy=True),
    Contender("dask", _of("dask_cluster", "ours"), (WARM,), needs=("distributed",), heavy=True),
    Contender("Ray", _of("ray_tasks", "tasks"), (WARM,), needs=("ray",), heavy=True, alone=True),
    Contender("ray", _of("ray_tasks", "ours"), (WARM,), needs=("ray",), heavy=True, alone=True),
)
CONTENDERS = (
    Contender("one process", _of("plain", "calls"), (WARM,), quick=(WARM,)),
    Contender("loop", _of("loop", "by_waiting"), quick=(WARM,)),
    Contender("loop with callbacks", _of("loop", "by_callbacks"), (WARM,)),
    Contender("loky", _of("loop", "on_loky"), needs=("loky",)),
    Contender("joblib", _of("joblib_levels", "levels_in_turn"), needs=("joblib",), quick=(WARM,)),
    Contender("Dask", _of("dask_cluster", "local_cluster"), needs=("distributed",), heavy=True),
    Contender("Dask, threads", _of("dask_cluster", "threads"), (WARM,), needs=("dask",)),
    Contender("Ray", _of("ray_tasks", "tasks"), needs=("ray",), heavy=True, alone=True),
    Contender("Kedro", _of("kedro_runner", "parallel_runner"), needs=("kedro",), heavy=True),
    Contender("sequential", _of("runners", "sequential"), (WARM,), quick=(WARM,)),
    Contender("threads", _of("runners", "threads"), (WARM,), quick=(WARM,)),
    Contender("process_pool", _of("runners", "process_pool"), quick=(WARM, COLD)),
)
