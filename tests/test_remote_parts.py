"""The parts of executors on engines, each with whatever it talks to replaced: what only happens at odd moments."""

from __future__ import annotations

import logging
import pickle
import warnings
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from kernel import node, pipeline
from kernel.errors import DataLost
from kernel.hooks import Hooks
from kernel.program import make_program
from kernel.specs.events import Outcomes
from kernel.specs.executor import Reach
from kernel.values.pickling import by_value
from kernel_dask.engine import DaskEngine
from kernel_dask.tasks import Tasks
from kernel_dask.watch import Watch
from kernel_futures.pool import PoolEngine
from kernel_memory import MemoryCatalog
from kernel_remote import booth
from kernel_remote.engine import Away, Boot, Job, Loss, Ref, Unstarted
from kernel_remote.executor import RemoteExecutor


def add_one(value):
    return value + 1


def job(number):
    return Job(number, f"n{number}", b"", [], {}, None, 1)


# -- pools ------------------------------------------------------------------------------------------------------------


class Pool:
    """A pool of which the test decides when it breaks."""

    def __init__(self):
        self.is_broken = self.is_shut = False
        self.futures = []

    def submit(self, *_):
        if self.is_broken:
            raise BrokenProcessPool("a process was terminated")
        self.futures.append(Future())
        self.futures[-1].set_running_or_notify_cancel()
        return self.futures[-1]

    def shutdown(self, wait=True):
        self.is_shut = True


def test_a_pool_that_was_replaced_takes_no_job_of_the_next_one_along():
    pools, inbox = [], SimpleQueue()

    def make(_):
        pools.append(Pool())
        return pools[-1]

    engine = PoolEngine(make)
    engine.open(Boot("k/1", b"p"), inbox, 2)
    engine.send(job(1))
    pools[0].is_broken = True
    engine.send(job(2))  # before the news of the first has been read
    pools[0].futures[0].set_exception(BrokenProcessPool("died"))
    assert inbox.get()() == Loss([1], "died")
    assert pools[0].is_shut
    assert not pools[1].is_shut
    pools[1].futures[0].set_result((b"report", []))
    assert inbox.get()().number == 2


# -- references -------------------------------------------------------------------------------------------------------


def test_an_executor_leaves_what_another_one_holds():
    engine = SimpleNamespace(fetch=lambda held: [f"fetched {held}"])
    one, other = RemoteExecutor(engine), RemoteExecutor(engine)
    mine, foreign = Ref("a", 0, one._session), Ref("b", 0, other._session)
    assert one.fetch([mine, foreign, 5]) == ["fetched a", foreign, 5]
    assert other.fetch(one.fetch([mine, foreign])) == ["fetched a", "fetched b"]


def test_a_list_that_is_shorter_than_it_was_is_lost_data():
    executor = RemoteExecutor(SimpleNamespace(fetch=lambda held: ()))
    with pytest.raises(DataLost, match="run again after a loss, and failed"):
        executor.fetch([Ref("a", 0, executor._session)])


# -- workers ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def parcel(monkeypatch):
    """Return the program of one node, as it comes from another process."""
    store = MemoryCatalog().open({}, Reach.MACHINE, 1)
    plan = pipeline([node(lambda: 1, None, "x", name="make"), node(add_one, "x", "y")]).plan
    given = {"run_id": "r", "is_async": False, "store": store, "free": {}, "datasets": {}, "hooks": Hooks([])}
    program = make_program(plan, **given).for_travel()
    with monkeypatch.context() as patch:
        patch.setattr(booth, "_process", lambda: ("elsewhere", 1))
        made = booth.pack_parcel(by_value(program))
    yield made
    for key in list(booth._booths):
        booth.forget(key)


def turns(index, *handles):
    return pickle.dumps([([(index, handles, 0, 1, 0)], {})])


def test_what_was_made_again_to_nothing_is_lost_data(parcel):
    with pytest.raises(DataLost, match="run again after a loss, and failed"):
        booth.run_job("s/1", parcel, turns(1, Away(0, 0)), None)


def test_a_worker_that_is_somebody_elses_has_its_logging_and_warnings_back(parcel, monkeypatch):
    monkeypatch.setattr(booth, "_process", lambda: ("here", 2))
    root = logging.getLogger()
    before = (list(root.handlers), root.level, list(warnings.filters))
    for key in ("one/1", "other/1"):  # two runs at once
        data, _ = booth.run_job(key, parcel, turns(0))
        assert isinstance(pickle.loads(data)[2], Outcomes)
    assert root.handlers != before[0]
    records = booth._booths["one/1"]._words
    booth.forget("one/1")
    logging.getLogger("somebody").warning("for the other run")
    assert len(booth._booths["other/1"]._words) == 1
    booth.forget("other/1")
    assert (list(root.handlers), root.level, list(warnings.filters)) == before
    assert not records


# -- Dask -------------------------------------------------------------------------------------------------------------


class DaskClient:
    def submit(self, *_, **__):
        return SimpleNamespace(status="pending", key="k")

    def cancel(self, futures):
        for future in futures:
            future.status = "cancelled"

    def _run(self, *_, **__):
        """Stand for what asks workers."""


def dask_engine(ask):
    engine = DaskEngine(SimpleNamespace(is_ours=False), 0)
    engine._connection = SimpleNamespace(client=DaskClient(), ask=ask)
    engine._boot, engine._workplace = Boot("r", b""), SimpleNamespace(drop=None)
    engine._tasks = Tasks(engine._connection.client, "r", None)
    return engine, engine._tasks


def test_a_recall_that_nobody_answers_in_time_leaves_no_job_without_an_end():
    def silent(*_):
        raise TimeoutError

    engine, tasks = dask_engine(silent)
    tasks.submit(job(1), {})
    assert engine.recall([1], kill=False) == []
    watch = Watch.__new__(Watch)  # without the clock that looks
    watch._tasks, watch._reports = tasks, SimpleNamespace(look_for=lambda number: None)
    future = tasks.under_way[1][1]
    future.status = "finished"  # a worker that had heard of it did nothing
    watch._ended = {1: float("-inf")}
    assert watch._over(1, future) == Unstarted(1)


def test_a_second_question_that_nobody_answers_takes_jobs_back_all_the_same():
    answers = iter([{}])

    def once(*_):
        try:
            return next(answers)
        except StopIteration:
            raise TimeoutError from None

    engine, tasks = dask_engine(once)
    tasks.submit(job(2), {})
    assert engine.recall([2], kill=False) == [2]
    assert not tasks.under_way


def test_a_cluster_that_could_not_be_opened_is_left_and_its_own_error_stays():
    closed = []

    def slow(*_):
        raise TimeoutError("the scheduler is slow")

    def close(*, cancel):
        closed.append(cancel)

    client = SimpleNamespace(status="running", subscribe_topic=lambda *_: None)
    connection = SimpleNamespace(client=client, ask=slow, name="x", close=close)
    engine = DaskEngine(SimpleNamespace(is_ours=False, connect=lambda workers: connection), 0)
    with pytest.raises(TimeoutError, match="slow"):
        engine.open(Boot("k", b""), SimpleQueue(), 1)
    engine.close(cancel=True)
    assert closed == [True]
