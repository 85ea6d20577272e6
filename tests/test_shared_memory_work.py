"""What it takes to keep and release a large value does not grow with the number of others; in steps, not in seconds."""

from __future__ import annotations

import multiprocessing
import random
import sys

import numpy as np
import pytest

from kernel.specs.executor import Reach
from kernel_shared_memory import SharedMemoryCatalog

FEW, MANY = 150, 1_500
#: Just above what travels inside its handle.
LARGE = np.ones(66_000, dtype="u1")


def steps_of(call):
    """Return how many instructions of Python a call takes, in all functions that are called."""
    steps = 0

    def trace(frame, event, _argument):
        nonlocal steps
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        steps += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return steps


def grows_little(few, many):
    """Say whether what was counted among many is hardly more than among few: a search by halves may take its steps."""
    return 0 < many < few * 1.3


@pytest.fixture
def opened():
    catalogs = []

    def opened(**options):
        catalog = SharedMemoryCatalog(**options)
        catalogs.append(catalog)
        return catalog, catalog.open({}, Reach.PROCESS, 1)

    yield opened
    for catalog in catalogs:
        catalog.close()


def saved(catalog, store, count):
    names = [f"v{at}" for at in range(count)]
    catalog.adopt(names, [store.save(name, LARGE) for name in names])
    return names


def every_other(names):
    gone = names[::2]
    random.Random(1).shuffle(gone)
    return gone


def last_100(calls):
    """Make all calls; return the steps of the last hundred."""
    for call in calls[:-100]:
        call()
    return sum(steps_of(call) for call in calls[-100:])


@pytest.mark.parametrize("where", ["memory", "disk"])
def test_releasing_a_value_takes_as_long_however_many_were_released_and_not_taken_back(opened, where, tmp_path):
    def work(count):
        catalog, store = opened(spill=tmp_path, **({} if where == "memory" else {"memory_limit": 0}))
        gone = every_other(saved(catalog, store, count))
        return last_100([lambda name=name: catalog.release([name]) for name in gone])

    assert grows_little(work(FEW * 2), work(MANY))


def test_saving_a_value_takes_as_long_however_many_places_are_free(opened):
    def work(count):
        catalog, store = opened()
        gone = every_other(saved(catalog, store, count))
        for name in gone:
            catalog.release([name])

        def save(name):
            catalog.adopt([name], [store.save(name, LARGE)])

        before = catalog.memory_in_use()
        spent = sum(steps_of(lambda name=name: save(name)) for name in gone)
        assert catalog.memory_in_use() == before  # all of them went to what was free
        return spent / len(gone)

    assert grows_little(work(FEW * 2), work(MANY))


def test_releasing_a_value_takes_as_long_however_many_others_are_held_by_readers(opened):
    def work(count):
        catalog, store = opened()
        names = saved(catalog, store, count + 100)
        held = hold(catalog, store, names[100:])
        for name in names[100:]:
            catalog.release([name])
        spent = sum(steps_of(lambda name=name: catalog.release([name])) for name in names[:100])
        before = catalog.memory_in_use()
        del held
        catalog.release([])
        saved(catalog, store, count)  # the places of all that were held are free by now
        assert catalog.memory_in_use() <= before
        return spent

    assert grows_little(work(20), work(900))


def hold(catalog, store, names):
    return [store.load(name, catalog.handle(name)) for name in names]


def test_what_its_owner_dropped_and_still_reads_costs_its_next_values_nothing(opened):
    def work(count):
        _catalog, store = opened()
        held = []
        for _ in range(count):
            handle = store.save("x", LARGE)
            held.append(store.load("x", handle))
            store.discard(handle)
        return sum(steps_of(lambda: store.save("y", LARGE)) for _ in range(20))

    assert grows_little(work(20), work(900))


def kept_results(count):
    results, catalog = [], SharedMemoryCatalog()
    for _ in range(count):
        following = catalog.successor()
        one_run(catalog)
        results.append(catalog)
        catalog = following
    return results, catalog


def one_run(catalog):
    store = catalog.open({}, Reach.PROCESS, 1)
    catalog.adopt(["kept", "gone"], [store.save("kept", LARGE), store.save("gone", LARGE)])
    catalog.release(["gone"])
    catalog.settle(["kept"])


@pytest.mark.parametrize(
    ("few", "many", "step"), [(FEW, MANY, None), (800, 2400, 2)], ids=["without gaps", "with gaps between them"]
)
def test_a_run_takes_as_long_however_many_results_are_kept(few, many, step):
    def work(count):
        results, catalog = kept_results(count)
        for result in results[:: step or count]:
            result.close()
        following = catalog.successor()
        spent = steps_of(lambda: one_run(catalog))
        for each in (catalog, following, *results):
            each.close()
        return spent

    assert grows_little(work(few), work(many))


@pytest.mark.parametrize("warm", [True, False], ids=["while a run may follow", "after the last run"])
def test_closing_a_result_takes_as_long_however_many_are_kept(warm):
    def work(count):
        results, catalog = kept_results(count)
        random.Random(1).shuffle(results)
        if not warm:
            catalog.close()
        before = results[-1].memory_in_use()
        spent = last_100([result.close for result in results[:-1]])
        assert (results[-1].memory_in_use() == before) is warm
        results[-1].close()
        catalog.close()
        return spent

    assert grows_little(work(FEW), work(MANY))


def write_and_wait(store, connection, count):
    store.open(0)
    connection.send([store.save("x", LARGE) for _ in range(count + 1)])
    connection.recv()


@pytest.mark.parametrize("closes", [False, True], ids=["killed", "in good order"])
def test_the_end_of_a_worker_takes_as_long_however_many_values_of_it_are_kept(opened, closes):
    processes = multiprocessing.get_context("forkserver")

    def work(count):
        catalog, store = opened()
        ours, theirs = processes.Pipe()
        target = end_in_order if closes else write_and_wait
        worker = processes.Process(target=target, args=(store, theirs, count))
        worker.start()
        *handles, lost = ours.recv()
        names = [f"v{at}" for at in range(count)]
        catalog.adopt(names, handles)
        if closes:
            ours.send("end")
        else:
            worker.kill()
        worker.join()
        before = catalog.memory_in_use()
        spent = steps_of(lambda: catalog.worker_lost(0))
        assert (store.load(names[-1], catalog.handle(names[-1])) == LARGE).all()
        assert lost[0] == 0
        catalog.settle(names)
        assert catalog.memory_in_use() < before
        return spent

    assert grows_little(work(FEW), work(MANY))


def end_in_order(store, connection, count):
    write_and_wait(store, connection, count)
    store.close()
