"""Shared memory that is kept warm: mappings from reader to reader, arenas from run to run; nothing is mixed up."""

from __future__ import annotations

import gc
import os
import resource
import signal
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from kernel import Runner, node, pipeline
from kernel.errors import NodeError
from kernel.specs.executor import Reach
from kernel.values.ownership import sole_owner
from kernel_memory import MemoryCatalog
from kernel_shared_memory import SharedMemoryCatalog

MB = 1 << 20
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="mappings are kept where /proc tells what was written")


def open_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def faults_of(call):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    call()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@pytest.fixture(params=["memfd", "directory"])
def options(request, tmp_path):
    return {"place": "memfd"} if request.param == "memfd" else {"directory": tmp_path}


@pytest.fixture
def run(options):
    catalog = SharedMemoryCatalog(**options)
    yield catalog, catalog.open({"locked": "readonly"}, Reach.PROCESS, 1)
    catalog.close()


def keep(catalog, store, name, data):
    catalog.adopt([name], [store.save(name, data)])
    return catalog.handle(name)


# -- from reader to reader


@linux_only
@pytest.mark.parametrize("name", ["x", "locked"])
def test_the_next_reader_in_a_process_needs_no_page_faults(run, name):
    catalog, store = run
    handle = keep(catalog, store, name, np.ones(4 * MB))
    first = faults_of(lambda: store.load(name, handle).sum())
    assert faults_of(lambda: store.load(name, handle).sum()) < min(first, 200)


@pytest.mark.parametrize("changed", [slice(5, 6), slice(0, MB), slice(None), slice(None, None, 100_000)])
def test_what_one_reader_changed_the_next_one_does_not_see(run, changed):
    catalog, store = run
    handle = keep(catalog, store, "x", np.arange(2.0 * MB))
    expected = np.arange(2.0 * MB)
    for _ in range(3):
        loaded = store.load("x", handle)
        np.testing.assert_array_equal(loaded, expected)
        loaded[changed] = -1
        del loaded
    np.testing.assert_array_equal(store.load("x", handle), expected)


def test_a_block_is_written_anew_although_its_last_mapping_is_kept(run):
    catalog, store = run
    for number in range(4):
        handle = keep(catalog, store, "x", np.full(MB, float(number)))
        assert handle[:2] == (1, 0)
        assert (store.load("x", handle) == number).all()
        assert (store.load("x", handle) == number).all()
        catalog.release(["x"])


def test_values_of_other_sizes_in_the_same_place_are_read_whole(run):
    catalog, store = run
    generator = np.random.default_rng(7)
    for _ in range(30):
        sizes = generator.integers(MB // 8, MB, 3)
        names = [f"v{at}" for at in range(3)]
        for name, size in zip(names, sizes, strict=True):
            keep(catalog, store, name, np.full(size, float(size)))
        for name, size in zip(names, sizes, strict=True):
            loaded = store.load(name, catalog.handle(name))
            assert loaded.shape == (size,)
            assert (loaded == size).all()
            loaded[: size // 9] = 0
        catalog.release(names)


def test_readers_at_the_same_time_have_mappings_of_their_own(run):
    catalog, store = run
    handle = keep(catalog, store, "x", np.zeros(MB))
    first, second = store.load("x", handle), store.load("x", handle)
    first[:] = 1
    second[0] = 2
    del first
    third = store.load("x", handle)
    assert not third.any()
    assert second[0] == 2


def test_kept_mappings_are_few_and_end_with_the_run(options):
    def maps():
        lines = Path("/proc/self/maps").read_text().splitlines()
        return sum("kernel-arena" in line or "/arena-" in line for line in lines)

    before, descriptors = maps(), open_descriptors()
    catalog = SharedMemoryCatalog(**options)
    store = catalog.open({}, Reach.PROCESS, 1)
    handles = [store.save("x", np.ones(MB // 8)) for _ in range(100)]
    at_work = open_descriptors()
    for handle in handles:
        store.load("x", handle)
    assert maps() <= before + 70
    assert open_descriptors() == at_work
    catalog.close()
    del store, catalog
    gc.collect()
    assert (maps(), open_descriptors()) == (before, descriptors)


@pytest.mark.parametrize("size", [10, MB])
def test_what_is_loaded_is_its_readers_own_until_somebody_else_holds_a_part(run, size):
    catalog, store = run
    handle = keep(catalog, store, "x", {"a": np.zeros(size), "b": [np.ones(size)]})
    loaded = store.load("x", handle)
    assert sole_owner(loaded, 1)
    part = loaded["a"][1:]
    assert not sole_owner(loaded, 1)
    assert not sole_owner(part, 1)
    del part
    assert sole_owner(loaded, 1)
    locked = store.load("locked", keep(catalog, store, "locked", np.zeros(size)))
    assert not sole_owner(locked, 1)


# -- from run to run


def follow(catalog):
    """Begin the next run as a warm runner does: there is always a catalog that waits for the run after it."""
    return catalog.successor()


def test_the_next_run_uses_the_memory_of_the_one_before(options):
    first = SharedMemoryCatalog(**options)
    second = follow(first)
    store = first.open({}, Reach.PROCESS, 1)
    keep(first, store, "x", np.ones(4 * MB))
    first.settle([])
    third = follow(second)
    store = second.open({}, Reach.PROCESS, 1)
    before = second.memory_in_use()
    assert before >= 32 * MB
    assert faults_of(lambda: keep(second, store, "y", np.full(4 * MB, 2.0))) < 20_000
    assert second.memory_in_use() == before
    assert store.load("y", second.handle("y")).sum() == 8 * MB
    second.settle([])
    third.close()
    assert second.memory_in_use() == 0


def test_results_of_earlier_runs_stay_as_they_were(options):
    catalog = SharedMemoryCatalog(**options)
    results = []
    for number in range(5):
        following = follow(catalog)
        store = catalog.open({}, Reach.PROCESS, 1)
        keep(catalog, store, "gone", np.full(MB, -1.0))
        keep(catalog, store, "kept", np.full(MB, float(number)))
        catalog.settle(["kept"])
        results.append((catalog, store))
        catalog = following
    for number, (result, store) in enumerate(results):
        loaded = store.load("kept", result.handle("kept"))
        assert (loaded == number).all()
        loaded[:] = 7
    results[1][0].close()
    results[3][0].close()
    del results[3], results[1]
    following = follow(catalog)
    store = catalog.open({}, Reach.PROCESS, 1)
    keep(catalog, store, "more", [np.full(MB, 9.0) for _ in range(4)])
    catalog.settle([])
    catalog.close()
    assert [store.load("kept", result.handle("kept"))[0] for result, store in results] == [0, 2, 4]
    following.close()
    assert [store.load("kept", result.handle("kept"))[0] for result, store in results] == [0, 2, 4]
    for result, _ in results:
        result.close()


def test_what_nobody_was_told_of_in_one_run_and_somebody_still_reads_is_not_written_anew_in_the_next(options):
    first = SharedMemoryCatalog(**options)
    second = follow(first)
    store = first.open({}, Reach.PROCESS, 1)
    read, unread = (store.save("never told", np.full(MB, fill)) for fill in (1.0, 2.0))
    loaded = store.load("never told", read)
    first.settle([])
    third = follow(second)
    store = second.open({}, Reach.PROCESS, 1)
    handles = [keep(second, store, f"v{at}", np.full(MB, 3.0)) for at in range(3)]
    assert (loaded == 1).all()
    assert unread[:2] in [handle[:2] for handle in handles]
    del loaded
    second.settle([])
    fourth = follow(third)
    store = third.open({}, Reach.PROCESS, 1)
    again = [keep(third, store, f"v{at}", np.full(MB, 4.0)) for at in range(4)]
    assert read[:2] in [handle[:2] for handle in again]
    third.close()
    fourth.close()


def test_idle_memory_is_bounded_and_given_back_in_the_end(options, monkeypatch):
    monkeypatch.setattr("kernel_shared_memory.memory._IDLE_SHARE", 10_000)
    first = SharedMemoryCatalog(**options)
    second = follow(first)
    before = open_descriptors()
    store = first.open({}, Reach.PROCESS, 1)
    values = {f"v{at}": np.full(MB, float(at)) for at in range(6)}
    for name, data in values.items():
        keep(first, store, name, data)
    first.settle(["v3"])
    idle = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 10_000
    assert first.memory_in_use() <= 8 * MB + idle + 2 * MB
    assert (store.load("v3", first.handle("v3")) == 3).all()
    third = follow(second)
    again = second.open({}, Reach.PROCESS, 1)
    for name, data in values.items():
        keep(second, again, name, data)
    for name, data in values.items():
        np.testing.assert_array_equal(again.load(name, second.handle(name)), data)
    assert second.memory_in_use() <= 7 * (8 * MB + MB)
    second.settle([])
    third.close()
    assert (store.load("v3", first.handle("v3")) == 3).all()
    first.close()
    assert open_descriptors() == before


def test_a_run_with_more_workers_gets_memory_of_its_own(options):
    first = SharedMemoryCatalog(**options)
    second = follow(first)
    store = first.open({}, Reach.PROCESS, 1)
    keep(first, store, "x", np.ones(MB))
    first.settle(["x"])
    wider = second.open({}, Reach.PROCESS, 3)
    assert wider.workers == 3
    keep(second, wider, "x", np.zeros(MB))
    assert store.load("x", first.handle("x")).all()
    first.close()
    assert not wider.load("x", second.handle("x")).any()
    second.close()


def test_a_catalog_that_waits_and_is_forgotten_keeps_nothing():
    before = open_descriptors()
    first = SharedMemoryCatalog()
    second = follow(first)
    keep(first, first.open({}, Reach.PROCESS, 1), "x", np.ones(MB))
    first.settle([])
    assert open_descriptors() > before
    del first, second
    gc.collect()
    assert open_descriptors() == before


# -- under a runner


class Recorded(MemoryCatalog):
    """Notes what a runner does with a catalog and its successors."""

    calls: ClassVar[list[str]] = []

    def __init__(self, number=1):
        super().__init__()
        self.number = number

    def successor(self):
        self.calls.append(f"{self.number} succeeded")
        return Recorded(self.number + 1)

    def open(self, *arguments):
        self.calls.append(f"{self.number} opened")
        return super().open(*arguments)

    def close(self):
        self.calls.append(f"{self.number} closed")
        super().close()


def test_a_warm_runner_asks_each_catalog_for_its_successor_and_closes_the_last():
    Recorded.calls.clear()
    add = pipeline([node(sum, "x", "y")])
    with Runner(catalog=Recorded) as runner:
        for _ in range(2):
            runner.run(add, {"x": [1, 2]}).close()
    assert Recorded.calls == [
        "1 succeeded",
        "1 opened",
        "1 closed",
        "2 succeeded",
        "2 opened",
        "2 closed",
        "3 closed",
    ]
    Recorded.calls.clear()
    with Runner(catalog=Recorded).run(add, {"x": [1, 2]}) as result:
        assert result["y"] == 3
    assert Recorded.calls == ["1 opened", "1 closed"]


def make(fill):
    return np.full(2 * MB, float(fill))


def spoil(values):
    assert (values == values[0]).all()
    values[: len(values) // 3] = -5
    return float(values[-1])


def fail(values):
    raise ValueError("on purpose")


def die_once(values, marker):
    path = Path(marker)
    if path.exists():
        path.unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return float(values.sum())


FLOW = pipeline([node(make, "fill", "big"), *(node(spoil, "big", f"seen{at}", name=f"s{at}") for at in range(4))])
FAILS = pipeline([node(make, "fill", "big"), node(fail, "big", "never")])


def test_runs_of_a_warm_runner_see_their_own_values_and_leave_nothing():
    before = open_descriptors()
    with Runner("process_pool", workers=2) as runner:
        kept = runner.run(pipeline([node(make, "fill", "big")]), {"fill": 42})
        for fill in range(4):
            with runner.run(FLOW, {"fill": fill}) as result:
                assert set(dict(result).values()) == {fill}
            with pytest.raises(NodeError, match="on purpose"):
                runner.run(FAILS, {"fill": fill})
    assert (kept["big"] == 42).all()
    kept.close()
    gc.collect()
    assert open_descriptors() == before


def test_a_worker_that_dies_between_two_uses_of_warm_memory_mixes_nothing_up(tmp_path):
    marker = tmp_path / "die"
    flow = pipeline([*FLOW.nodes, node(die_once, ["big", "params:marker"], "sum", name="dies")])
    with Runner("process_pool", workers=2) as runner:
        kept = []
        for fill in range(1, 5):
            if fill % 2 == 0:
                marker.touch()
            result = runner.run(flow, {"fill": fill, "params:marker": str(marker)})
            kept.append(runner.run(pipeline([node(make, "fill", "big")]), {"fill": fill}))
            assert result["sum"] == fill * 2 * MB
            assert {result[f"seen{at}"] for at in range(4)} == {fill}
        assert [value["big"][-1] for value in kept] == [1, 2, 3, 4]


def test_results_closed_while_a_later_run_goes_on_disturb_nothing():
    with Runner("process_pool", workers=2) as runner:
        earlier = [runner.run(pipeline([node(make, "fill", "big")]), {"fill": fill}) for fill in range(3)]
        for fill in range(3):
            earlier[fill].close()
            with runner.run(FLOW, {"fill": fill + 10}) as result:
                assert set(dict(result).values()) == {fill + 10}
            for later in range(fill + 1, 3):
                assert (earlier[later]["big"] == later).all()
