"""The shared_memory catalog between real processes: values cross without a copy and nobody sees another's change."""

from __future__ import annotations

import contextlib
import gc
import marshal
import multiprocessing
import os
import pickle
import signal
import threading
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernel.errors import ConfigError, DatasetError, ValidationError
from kernel.specs.executor import Reach
from kernel_shared_memory import SharedMemoryCatalog

MB = 1 << 20
GRAIN = os.sysconf("SC_PAGE_SIZE")
processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["numpy", "pandas", "pyarrow", "kernel_shared_memory"])


def serve(connection):
    store, kept = None, {}
    with contextlib.suppress(EOFError):
        while True:
            function, arguments = connection.recv()
            if function is None:
                if store is not None:
                    store.close()
                (store, number), kept = arguments, {}
                store.open(number)
                connection.send((True, None))
                continue
            try:
                connection.send((True, function(store, kept, *arguments)))
            except Exception as error:
                connection.send((False, error))


class Worker:
    """A process that takes up one run after the other, as workers that are kept warm do."""

    idle = []

    def __init__(self, store, number):
        if self.idle:
            self.process, self._connection = self.idle.pop()
        else:
            self._connection, other = processes.Pipe()
            self.process = processes.Process(target=serve, args=(other,), daemon=True)
            self.process.start()
            other.close()
        self(None, store, number)

    def __call__(self, function, *arguments):
        self._connection.send((function, arguments))
        good, answer = self._connection.recv()
        if not good:
            raise answer
        return answer

    def kill(self):
        self.process.kill()
        self.process.join()

    def end(self):
        self._connection.close()
        self.process.join()

    def leave(self):
        if self.process.is_alive() and not self._connection.closed:
            self.idle.append((self.process, self._connection))


@pytest.fixture(scope="module", autouse=True)
def _no_worker_is_left():
    yield
    while Worker.idle:
        process, connection = Worker.idle.pop()
        connection.close()
        process.join()


def save_array(store, kept, name, size, fill):
    return store.save(name, np.full(size // 8, float(fill)))


def save_value(store, kept, name, data):
    return store.save(name, data)


def load(store, kept, name, handle):
    kept[name] = store.load(name, handle)


def fetch(store, kept, name, handle):
    return store.load(name, handle)


def slice_of(store, kept, name, handle):
    kept[name] = store.load(name, handle)[100:110]


def total(store, kept, name):
    return float(kept[name].sum())


def write(store, kept, name, value):
    kept[name][...] = value


def drop(store, kept, name):
    del kept[name]
    gc.collect()


def discard(store, kept, handle):
    store.discard(handle)


def close(store, kept):
    store.close()


def open_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def descriptors(store, kept):
    return open_descriptors()


@pytest.fixture(params=["memfd", "directory"])
def options(request, tmp_path):
    return {"place": "memfd"} if request.param == "memfd" else {"directory": tmp_path}


@contextlib.contextmanager
def running(options, workers=2, copy_modes=None):
    catalog = SharedMemoryCatalog(**options)
    store = catalog.open(copy_modes or {}, Reach.PROCESS, workers)
    team = [Worker(store, number) for number in range(workers)]
    try:
        yield catalog, store, *team
    finally:
        for worker in team:
            worker.leave()
        catalog.close()


@pytest.fixture
def run(options):
    with running(options) as parts:
        yield parts


@pytest.fixture
def alone(options):
    catalog = SharedMemoryCatalog(**options)
    yield catalog, catalog.open({"locked": "readonly"}, Reach.PROCESS, 1)
    catalog.close()


def frame(rows):
    numbers = np.arange(rows)
    return pd.DataFrame(
        {
            "number": numbers * 1.5,
            "text": pd.array([f"row {n}" for n in numbers], dtype="str"),
            "maybe": pd.array(numbers, dtype="Int64"),
            "kind": pd.Categorical(np.where(numbers % 2, "odd", "even")),
            "when": pd.to_datetime(numbers, unit="s"),
        }
    ).astype({"text": "string[pyarrow]"})


# -- values


def test_a_large_array_crosses_between_processes_by_a_small_handle(run):
    catalog, store, first, second = run
    handle = first(save_array, "x", 8 * MB, 2)
    catalog.adopt(["x"], [handle])
    assert len(marshal.dumps(catalog.handle("x"))) < 64
    assert store.size(handle) >= 8 * MB
    second(load, "x", handle)
    assert second(total, "x") == 2 * MB
    assert store.load("x", handle).sum() == 2 * MB


def test_a_frame_of_many_kinds_of_columns_crosses_whole(run):
    _catalog, store, first, second = run
    table = frame(50_000)
    handle = first(save_value, "table", table)
    assert store.size(handle) > MB
    pd.testing.assert_frame_equal(second(fetch, "table", handle), table)
    loaded = store.load("table", handle)
    loaded.loc[0, "number"] = -1.0
    loaded.loc[0, "text"] = "changed"
    loaded.loc[0, "maybe"] = None
    loaded.loc[0, "kind"] = "odd"
    loaded.iloc[3:5, 0] = 7.0
    loaded["new"] = 1
    pd.testing.assert_frame_equal(store.load("table", handle), table)


@pytest.mark.parametrize(
    "value",
    [
        7,
        None,
        "text" * 100_000,
        b"bytes" * 100_000,
        bytearray(b"bytes" * 100_000),
        ["list"] * 20_000,
        {n: (n, str(n)) for n in range(20_000)},
        np.arange(40_000).reshape(200, 200),
        np.asfortranarray(np.arange(40_000).reshape(200, 200)),
        np.arange(80_000)[::2],
        [np.arange(20_000), np.array([]), np.arange(3)],
        np.arange(10),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_comes_back_as_it_was_saved(alone, value):
    _catalog, store = alone
    handle = marshal.loads(marshal.dumps(store.save("x", value)))
    for last in (False, True):
        loaded = store.load("x", handle, last=last)
        assert type(loaded) is type(value)
        for left, right in zip(loaded, value, strict=True) if isinstance(value, list) else [(loaded, value)]:
            np.testing.assert_array_equal(left, right)


def test_small_values_travel_inside_their_handles_and_take_no_memory(alone):
    catalog, store = alone
    for value in (1, "text", [1, 2], np.arange(1000)):
        assert store.size(store.save("x", value)) == 0
    assert catalog.memory_in_use() == 0


def test_buffers_of_a_mapped_value_are_aligned(alone):
    _catalog, store = alone
    loaded = store.load("x", store.save("x", [np.arange(99, dtype="u1"), np.arange(99_999, dtype="u1"), np.arange(9)]))
    assert [array.ctypes.data % 64 for array in loaded] == [0, 0, 0]


# -- isolation


def test_no_reader_sees_a_change_by_the_producer_or_by_another_reader(run):
    _catalog, store, first, second = run
    data = np.ones(MB)
    handle = store.save("x", data)
    data[:] = 9
    for worker in (first, second):
        worker(load, "x", handle)
    first(write, "x", 5)
    mine = store.load("x", handle)
    mine[:] = 7
    assert second(total, "x") == MB
    assert first(total, "x") == 5 * MB
    assert store.load("x", handle).sum() == MB


def test_small_and_nested_values_are_separate_for_each_reader(alone):
    _catalog, store = alone
    for value in ([1, [2]], np.zeros(10), {"a": [np.zeros(MB)]}):
        handle = store.save("x", value)
        first, second = store.load("x", handle), store.load("x", handle)
        if isinstance(first, dict):
            first["a"][0][:] = 1
            assert not second["a"][0].any()
        else:
            first[0] = 9
            assert second[0] != 9


def test_an_array_that_was_locked_when_it_was_saved_may_be_changed_by_its_reader(alone):
    _catalog, store = alone
    data = np.zeros(MB)
    data.flags.writeable = False
    store.load("x", store.save("x", data))[0] = 1
    assert data[0] == 0


@pytest.mark.parametrize("size", [10, MB])
def test_readonly_values_refuse_to_be_written(alone, size):
    _catalog, store = alone
    loaded = store.load("locked", store.save("locked", np.zeros(size)))
    with pytest.raises(ValueError, match="read-only"):
        loaded[0] = 1
    with pytest.raises(ValueError, match="WRITEABLE"):
        loaded.flags.writeable = True


def write_past_the_flags(store, kept, name, handle):
    import ctypes

    loaded = store.load(name, handle)
    ctypes.memset(loaded.ctypes.data, 1, 8)


def test_a_readonly_value_is_guarded_by_the_hardware(options):
    with running(options, 1, {"x": "readonly"}) as (_catalog, store, worker):
        handle = worker(save_array, "x", MB, 3)
        with pytest.raises(EOFError):
            worker(write_past_the_flags, "x", handle)
        worker.process.join()
        assert worker.process.exitcode == -signal.SIGSEGV
        assert store.load("x", handle)[0] == 3


# -- reuse


def offset_of(handle):
    return handle[:2]


def test_a_released_block_is_written_anew(run):
    catalog, _store, first, second = run
    handle = first(save_array, "x", MB, 1)
    catalog.adopt(["x"], [handle])
    second(load, "x", handle)
    second(drop, "x")
    catalog.release(["x"])
    assert offset_of(first(save_array, "y", MB, 2)) == offset_of(handle)


@pytest.mark.parametrize("how", [load, slice_of])
def test_a_block_is_not_written_anew_while_another_process_has_a_view_of_it(run, how):
    catalog, _store, first, second = run
    handle = first(save_array, "x", MB, 1)
    catalog.adopt(["x"], [handle])
    second(how, "x", handle)
    before = second(total, "x")
    catalog.release(["x"])
    taken = [first(save_array, name, MB, 9) for name in "abc"]
    assert offset_of(handle) not in map(offset_of, taken)
    assert second(total, "x") == before
    second(drop, "x")
    catalog.release(["nothing"])
    assert offset_of(first(save_array, "y", MB, 2)) == offset_of(handle)


def test_the_producers_own_views_keep_a_block_too(run):
    _catalog, _store, first, _second = run
    handle = first(save_array, "x", MB, 1)
    first(load, "x", handle)
    first(discard, handle)
    assert offset_of(first(save_array, "y", MB, 9)) != offset_of(handle)
    assert first(total, "x") == MB / 8
    first(drop, "x")
    assert offset_of(first(save_array, "z", MB, 9)) == offset_of(handle)


def test_a_value_that_is_superseded_or_discarded_is_written_anew_and_only_once(run):
    catalog, store, first, _second = run
    handles = [first(save_array, "x", MB, n) for n in range(3)]
    catalog.adopt(["x"], handles[:1])
    catalog.adopt(["x"], handles[1:2])
    catalog.discard([handles[0], handles[2], handles[2]])
    catalog.discard(handles[2:])
    taken = [offset_of(first(save_array, "y", MB, 9)) for _ in range(4)]
    assert len(set(taken)) == 4
    assert {offset_of(handles[0]), offset_of(handles[2])} <= set(taken)
    assert store.load("x", catalog.handle("x"))[0] == 1


def test_a_handle_of_a_dropped_value_is_an_error_and_not_another_value(run):
    catalog, store, first, _second = run
    handle = first(save_array, "x", MB, 1)
    catalog.adopt(["x"], [handle])
    catalog.release(["x"])
    first(save_array, "y", MB, 2)
    with pytest.raises(DatasetError, match="x: its value in shared memory was dropped"):
        store.load("x", handle)
    with pytest.raises(DatasetError, match="x: no value in memory"):
        catalog.handle("x")


def test_neighbouring_blocks_that_are_free_serve_a_larger_value(run):
    catalog, _store, first, _second = run
    names = ["a", "b", "c", "d"]
    handles = [first(save_array, name, MB, 1) for name in names]
    catalog.adopt(names, handles)
    catalog.release(["b", "a", "c"])
    assert offset_of(first(save_array, "x", 3 * MB, 1)) == offset_of(handles[0])


def test_a_long_chain_of_large_values_takes_the_memory_of_a_few(run):
    catalog, _store, first, second = run
    workers = [first, second]
    catalog.adopt(["0"], [first(save_array, "0", 4 * MB, 0)])
    for n in range(1, 30):
        worker = workers[n % 2]
        worker(load, "input", catalog.handle(str(n - 1)))
        assert worker(total, "input") == (n - 1) * MB / 2
        catalog.adopt([str(n)], [worker(save_array, str(n), 4 * MB, n)])
        worker(drop, "input")
        catalog.release([str(n - 1)])
    assert catalog.memory_in_use() <= 4 * (4 * MB + GRAIN)


def test_many_blocks_released_at_once_all_come_back(run):
    catalog, _store, first, _second = run
    names = [str(n) for n in range(700)]
    handles = [first(save_array, name, 128 * 1024, 1) for name in names]
    catalog.adopt(names, handles)
    before = catalog.memory_in_use()
    catalog.release(names)
    for _ in range(2):
        again = [first(save_array, name, 128 * 1024, 1) for name in names[:350]]
        catalog.adopt(names[:350], again)
        catalog.release([])
    assert catalog.memory_in_use() == before


def test_more_mappings_than_can_be_leased_are_copies(alone):
    _catalog, store = alone
    handle = store.save("x", np.ones(16 * 1024))
    loaded = [store.load("x", handle) for _ in range(1100)]
    loaded[-1][0] = 5
    assert all(array[0] == 1 for array in loaded[:-1])
    locked = store.load("locked", handle)
    with pytest.raises(ValueError, match="read-only"):
        locked[0] = 1


def test_threads_may_load_and_save_at_once(alone):
    catalog, store = alone
    problems = []

    def work(n):
        for turn in range(40):
            name = f"{n}-{turn}"
            catalog_free = store.save(name, np.full(20_000, n * 1000 + turn))
            if (store.load(name, catalog_free) != n * 1000 + turn).any():
                problems.append(name)
            store.discard(catalog_free)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert catalog.memory_in_use() < 40 * 200_000


# -- deaths and ends


def test_a_killed_worker_leaves_no_lease_and_no_block_behind(run):
    catalog, store, first, second = run
    kept = first(save_array, "kept", MB, 1)
    read = second(save_array, "read", MB, 2)
    catalog.adopt(["kept", "read"], [kept, read])
    first(load, "read", read)
    lost = [first(save_array, "never told", MB, 3) for _ in range(3)]
    first.kill()
    catalog.worker_lost(0)
    catalog.release(["read"])
    catalog.discard(lost)
    assert offset_of(second(save_array, "y", MB, 4)) == offset_of(read)
    replacement = Worker(store, 0)
    before = catalog.memory_in_use()
    taken = [offset_of(replacement(save_array, "z", MB, 5)) for _ in range(3)]
    assert set(taken) == set(map(offset_of, lost))
    assert catalog.memory_in_use() == before
    assert store.load("kept", kept)[0] == 1
    replacement.end()


def test_a_replacement_that_starts_before_the_loss_is_known_overwrites_nothing(run):
    catalog, store, first, second = run
    kept = first(save_array, "kept", MB, 1)
    catalog.adopt(["kept"], [kept])
    read = second(save_array, "read", MB, 2)
    first(load, "read", read)
    first.kill()
    replacement = Worker(store, 0)
    replacement(load, "kept", kept)
    own = replacement(save_array, "own", MB, 3)
    catalog.worker_lost(0)
    catalog.release(["kept"])
    taken = [offset_of(replacement(save_array, "z", MB, 9)) for _ in range(3)]
    assert offset_of(kept) not in taken
    assert offset_of(own) not in taken
    assert replacement(total, "kept") == MB / 8
    catalog.adopt(["read"], [read])
    catalog.release(["read"])
    assert offset_of(second(save_array, "z", MB, 9)) == offset_of(read)
    replacement.end()


def test_settling_keeps_the_results_and_gives_all_other_memory_back(run):
    catalog, store, first, _second = run
    names = ["a", "b", "c"]
    catalog.adopt(names, [first(save_array, name, 4 * MB, n) for n, name in enumerate(names)])
    first(save_array, "never told", 4 * MB, 9)
    catalog.settle(["b"])
    assert catalog.memory_in_use() <= 4 * MB + GRAIN
    assert store.load("b", catalog.handle("b")).max() == 1
    catalog.release(["b"])
    assert catalog.memory_in_use() == 0


def test_settling_spares_what_a_living_worker_has_mapped(run):
    catalog, _store, first, second = run
    handle = first(save_array, "x", 4 * MB, 1)
    catalog.adopt(["x"], [handle])
    other = first(save_array, "y", 4 * MB, 1)
    catalog.adopt(["y"], [other])
    second(load, "x", handle)
    catalog.settle(["y"])
    assert second(total, "x") == MB / 2
    second(drop, "x")
    catalog.release([])
    assert catalog.memory_in_use() <= 4 * MB + GRAIN


def test_values_that_were_loaded_stay_valid_after_the_end(options):
    with running(options) as (catalog, store, first, second):
        catalog.adopt(["x"], [first(save_array, "x", MB, 3)])
        first.end()
        second.end()
        catalog.settle(["x"])
        loaded = store.load("x", catalog.handle("x"))
        catalog.close()
        catalog.close()
        assert loaded.sum() == 3 * MB / 8
        loaded[0] = 1
        handle = (0, 0, MB, 1)
        with pytest.raises(DatasetError, match="x: its store is closed"):
            store.load("x", handle)
    del loaded, store
    gc.collect()


def test_a_store_that_was_closed_in_good_order_leaves_its_values(run):
    catalog, store, first, _second = run
    handles = [first(save_array, "x", MB, 3) for _ in range(2)]
    catalog.adopt(["x"], handles[:1])
    first(discard, handles[1])
    first(load, "view", handles[0])
    before = catalog.memory_in_use()
    first(close)
    assert catalog.memory_in_use() < before
    assert first(total, "view") == 3 * MB / 8
    first(drop, "view")
    assert store.load("x", handles[0])[0] == 3


def test_a_result_that_needs_no_shared_memory_keeps_no_descriptor():
    before = open_descriptors()
    catalog = SharedMemoryCatalog()
    store = catalog.open({}, Reach.PROCESS, 4)
    catalog.adopt(["x", "y"], [store.save("x", [1]), store.save("y", np.ones(MB))])
    catalog.settle(["x"])
    assert open_descriptors() == before
    assert store.load("x", catalog.handle("x")) == [1]
    catalog.close()


def test_a_forked_child_frees_nothing(alone):
    catalog, store = alone
    handle = store.save("x", np.ones(MB))
    catalog.adopt(["x"], [handle])
    loaded = store.load("x", handle)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # the test's own threads do no harm
        child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            catalog.close()
            store.close()
            del loaded
            gc.collect()
        os._exit(0)
    os.waitpid(child, 0)
    catalog.release(["x"])
    assert offset_of(store.save("y", np.zeros(MB))) != offset_of(handle)
    assert loaded.sum() == MB


def fork_and_use(store, kept, name, handle):
    child = os.fork()
    if child == 0:
        try:
            store.load(name, handle)
        except DatasetError:
            os._exit(3)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_a_child_of_a_worker_is_refused_with_a_clear_error(run):
    _catalog, _store, first, second = run
    handle = first(save_array, "x", MB, 1)
    assert second(fork_and_use, "x", handle) == 3


def test_what_a_worker_gave_back_at_its_end_is_not_taken_for_warm_memory(options, tmp_path):
    limit = 7 * MB // 2
    with running({**options, "memory_limit": limit, "spill": tmp_path}) as (catalog, store, first, _second):
        kept = first(save_array, "kept", MB, 1)
        catalog.adopt(["kept"], [kept])
        gone = first(save_array, "x", MB, 2)
        first(discard, gone)
        first(close)
        first.end()
        catalog.worker_lost(0)
        assert catalog.memory_in_use() <= MB + GRAIN
        replacement = Worker(store, 0)
        fresh = [replacement(save_array, "y", MB, fill) for fill in (3, 4, 5)]
        # The place is used again, and what is written there counts: so the last one finds the limit reached.
        assert offset_of(gone) in map(offset_of, fresh)
        assert [handle[0] == gone[0] for handle in fresh] == [True, True, False]
        assert catalog.memory_in_use() <= limit
        assert [store.load("y", handle)[-1] for handle in (kept, *fresh)] == [1, 3, 4, 5]
        replacement.end()


# -- descriptors, memory, threads


def test_descriptors_do_not_grow_with_the_number_of_datasets(run):
    import resource

    catalog, store, first, second = run
    before = open_descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        names = [str(n) for n in range(400)]
        catalog.adopt(names, [first(save_array, name, 80 * 1024, n) for n, name in enumerate(names)])
        loaded = [store.load(name, catalog.handle(name)) for name in names]
        assert [array[0] for array in loaded] == list(range(400))
        assert open_descriptors() == before
        assert second(descriptors) < 30
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_runs_in_one_process_leave_nothing_open(options):
    def once():
        catalog = SharedMemoryCatalog(**options)
        store = catalog.open({}, Reach.PROCESS, 2)
        catalog.adopt(["x"], [store.save("x", np.ones(MB))])
        catalog.settle(["x"])
        store.load("x", catalog.handle("x"))
        catalog.close()

    def state():
        gc.collect()
        maps = Path("/proc/self/maps").read_text().splitlines()
        return open_descriptors(), sum("kernel" in line or "arena" in line for line in maps)

    once()
    before = state()
    for _ in range(50):
        once()
    assert state() == before


def test_a_catalog_that_is_forgotten_closes_itself(options):
    before = open_descriptors()
    catalog = SharedMemoryCatalog(**options)
    catalog.open({}, Reach.PROCESS, 2).save("x", np.ones(MB))
    del catalog
    gc.collect()
    assert open_descriptors() == before


# -- refusals


def test_workers_on_other_machines_are_refused_before_anything_runs():
    with pytest.raises(ValidationError, match="use catalog 'memory'"):
        SharedMemoryCatalog().validate_catalog([], {}, Reach.MACHINE, {})


def test_inputs_that_cannot_be_serialised_are_all_named():
    values = {"bad": threading.Lock(), "good": [1], "worse": (n for n in ())}
    with pytest.raises(ValidationError) as info:
        SharedMemoryCatalog().validate_catalog(list(values), values, Reach.PROCESS, {"bad": ["train"]})
    assert [problem.split(":")[0] for problem in info.value.problems] == ["bad", "worse"]


def test_a_value_that_cannot_be_serialised_names_dataset_and_type(run):
    _catalog, store, _first, _second = run
    with pytest.raises(DatasetError, match="x: a value of type 'lock' cannot be serialised"):
        store.save("x", threading.Lock())


def test_a_worker_that_there_is_no_slot_for_is_refused(alone):
    _catalog, store = alone
    with pytest.raises(DatasetError, match="room for 1 workers: worker 5"):
        pickle.loads(pickle.dumps(store)).open(5)


@pytest.mark.parametrize(
    "wrong", [{"place": "cloud"}, {"place": "memfd", "directory": "/tmp"}], ids=["unknown", "both"]
)
def test_wrong_options_are_refused(wrong):
    with pytest.raises(ConfigError, match="shared_memory: place="):
        SharedMemoryCatalog(**wrong).open({}, Reach.PROCESS, 1)


def test_a_worker_outliving_its_runner_gets_a_clear_error(tmp_path):
    catalog = SharedMemoryCatalog(directory=tmp_path)
    store = pickle.loads(pickle.dumps(catalog.open({}, Reach.PROCESS, 1)))
    catalog.close()
    with pytest.raises(DatasetError, match="shared memory of the run cannot be opened"):
        store.open(0)
