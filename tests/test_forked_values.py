"""What a forked child has of values in shared memory stays as it was until it ends; then the memory is used again."""

from __future__ import annotations

import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest

from family import WAYS, Child, by_python, close_everything, ended, killed
from kernel import Runner, node, pipeline, run
from kernel.errors import DatasetError
from kernel.specs.executor import Reach
from kernel_shared_memory import SharedMemoryCatalog, forks, marks
from watching import wait_until

MB = 1 << 20
COUNT = MB // 8
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody says when children have ended")


def make(n):
    return np.full(COUNT, float(n))


def spread(table):
    return float(table.min()), float(table.max())


flow = pipeline([node(make, "n", "x")])
many = pipeline([node(make, "n", f"x{at}", name=f"make-{at}") for at in range(4)])

PLACES = {
    "memfd": lambda folder: {"place": "memfd"},
    "directory": lambda folder: {"directory": folder},
    "spill": lambda folder: {"memory_limit": MB // 2, "spill": folder},
}


@pytest.fixture(params=list(PLACES))
def options(request, tmp_path):
    return PLACES[request.param](tmp_path)


@pytest.fixture
def opened(options):
    catalog = SharedMemoryCatalog(**options)
    yield catalog, catalog.open({}, Reach.PROCESS, 1)
    catalog.close()


def keep(catalog, store, name, data):
    catalog.adopt([name], [store.save(name, data)])
    return catalog.handle(name)


def offset(catalog, store, number):
    """Return where the next value is written, which is dropped again."""
    handle = keep(catalog, store, "next", make(number))
    catalog.release(["next"])
    return handle[1]


# -- content


@pytest.mark.parametrize(("way", "depth"), [("os.fork", 1), ("os.fork", 3), ("C", 1)])
def test_children_keep_what_they_inherit_while_a_warm_runner_goes_on(options, way, depth):
    children = []
    with Runner("process_pool", workers=1, catalog_options=options) as runner:
        for n in range(1, 5):
            with runner.run(flow, {"n": n}) as result:
                table = result["x"]
                children.append(Child(lambda table=table: spread(table), WAYS[way], depth))
                del table
        runner.run(many, {"n": 9}).close()
        assert [child() for child in children] == [(n, n) for n in map(float, range(1, 5))]
    assert [child() for child in children] == [(n, n) for n in map(float, range(1, 5))]
    for child in children:
        child.end()


def test_children_keep_what_they_inherit_when_runs_are_over(options):
    children = []
    for n in range(3):
        result = run(flow, {"n": n}, executor="process_pool", workers=1, catalog_options=options)
        table = result["x"]
        children.append(Child(lambda table=table: spread(table)))
        del table
        result.close()
    assert [child() for child in children] == [(0, 0), (1, 1), (2, 2)]
    for child in children:
        child.end()


def test_what_a_child_writes_stays_with_it(opened):
    catalog, store = opened
    handle = keep(catalog, store, "x", make(1))
    table = store.load("x", handle)

    def change():
        table[:] += 1
        return spread(table)

    child = Child(change)
    assert (child(), child()) == ((2, 2), (3, 3))
    assert spread(table) == (1, 1)
    assert spread(store.load("x", handle)) == (1, 1)
    child.end()


TABLE = None


def part(at):
    return float(TABLE[at : at + 10].sum())


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # the threads of libraries do no harm
@pytest.mark.parametrize("kind", ["Pool", "ProcessPoolExecutor"])
def test_a_pool_of_the_users_reads_a_global_table_while_runs_go_on(kind):
    global TABLE
    starts = range(0, COUNT, 1000)
    with Runner("process_pool", workers=1) as runner:
        result = runner.run(flow, {"n": 7})
        TABLE = result["x"]
        context = get_context("fork")
        with context.Pool(2) if kind == "Pool" else ProcessPoolExecutor(1, mp_context=context) as pool:
            go_through = pool.imap if kind == "Pool" else pool.map
            assert list(go_through(part, [0])) == [70]
            TABLE = None
            result.close()
            for n in range(5):
                runner.run(many, {"n": n}).close()
            assert set(go_through(part, starts)) == {70}


def read_apart(table, folder):
    """Fork a child that goes on after the node and says at the end what it sees."""
    if by_python() == 0:
        wait_until((folder / "now").exists, "the word to look")
        (folder / "seen.new").write_text(repr(spread(table)))
        (folder / "seen.new").rename(folder / "seen")
        os._exit(0)
    return 0


@pytest.mark.parametrize("method", ["forkserver", "spawn", "fork"])
def test_a_child_of_a_node_keeps_what_the_node_was_given(tmp_path, method):
    reading = pipeline([node(make, "n", "x", name="make"), node(read_apart, ["x", "folder"], "y", retries=1)])
    with Runner("process_pool", workers=1, start_method=method) as runner:
        runner.run(reading, {"n": 3, "folder": tmp_path}).close()
        for n in range(4, 8):
            runner.run(many, {"n": n}).close()
        (tmp_path / "now").touch()
        wait_until((tmp_path / "seen").exists, "what the child sees")
    assert (tmp_path / "seen").read_text() == "(3.0, 3.0)"


def look(_n):
    return spread(TABLE)


def test_workers_that_are_forked_read_globals_of_the_runners_process():
    global TABLE
    with Runner("process_pool", workers=1) as runner:
        result = runner.run(flow, {"n": 5})
        TABLE = result["x"]
        with Runner("process_pool", workers=1, start_method="fork") as other:
            looking = pipeline([node(look, "n", "y")])
            assert other.run(looking, {"n": 0})["y"] == (5, 5)
            TABLE = None
            result.close()
            for n in range(4):
                runner.run(many, {"n": n}).close()
            assert other.run(looking, {"n": 0})["y"] == (5, 5)


def test_what_a_thread_loads_while_another_forks_is_the_childs_as_well(opened):
    catalog, store = opened
    shown, over = [None], threading.Event()

    def go_on():
        number = 0
        while not over.is_set():
            number += 1
            keep(catalog, store, "x", make(number))
            shown[0] = store.load("x", catalog.handle("x"))
            catalog.release(["x"])

    thread = threading.Thread(target=go_on)
    thread.start()
    wait_until(lambda: shown[0] is not None, "the first value")
    children = []
    for _ in range(8):
        child = Child(lambda: spread(shown[0]))
        children.append((child, child()))
    seen = [(child(), first) for child, first in children]
    over.set()
    thread.join()
    assert all(now == first and now[0] == now[1] for now, first in seen)
    for child, first in children:
        assert child() == first
        child.end()


@linux_only
def test_the_death_of_its_parent_takes_nothing_from_a_child(opened):
    catalog, store = opened
    handle = keep(catalog, store, "x", make(1))

    def by_worker():
        global TABLE
        worker = by_python()
        if worker == 0:
            store.open(0)
            TABLE = store.load("x", handle)
            if by_python():
                signal.pause()
        return worker

    child = Child(lambda: spread(TABLE), by_worker)
    assert child() == (1, 1)
    os.kill(child.child, signal.SIGKILL)
    os.waitid(os.P_PID, child.child, os.WEXITED | os.WNOWAIT)
    catalog.worker_lost(0)
    catalog.release(["x"])
    assert handle[1] not in {offset(catalog, store, n) for n in range(5)}
    successor = Child(lambda: spread(store.load("y", store.save("y", make(7)))), first=lambda _: store.open(0))
    assert successor() == (7, 7)
    assert handle[1] not in {offset(catalog, store, n) for n in range(5)}
    assert child() == (1, 1)
    child.end()
    wait_until(lambda: offset(catalog, store, 6) == handle[1], "the memory of the child")
    successor.end()


# -- memory


@linux_only
@pytest.mark.parametrize("end", [ended, killed])
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("way", list(WAYS))
def test_memory_is_used_again_when_the_last_child_has_ended(opened, way, depth, end):
    catalog, store = opened
    where = keep(catalog, store, "x", make(1))[1]
    table = store.load("x", catalog.handle("x"))
    child = Child(lambda table=table: spread(table), WAYS[way], depth)
    del table
    catalog.release(["x"])
    assert where not in {offset(catalog, store, n) for n in range(5)}
    assert child() == (1, 1)
    end(child)
    wait_until(lambda: offset(catalog, store, 6) == where, "the memory of the child")


@linux_only
def test_a_child_that_closes_all_descriptors_keeps_its_values_and_one_that_becomes_another_program_does_not(opened):
    catalog, store = opened
    where = keep(catalog, store, "x", make(1))[1]
    table = store.load("x", catalog.handle("x"))
    child = Child(lambda table=table: spread(table), first=close_everything)
    other = by_python()
    if other == 0:
        os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"])
    del table
    catalog.release(["x"])
    assert where not in {offset(catalog, store, n) for n in range(5)}
    assert child() == (1, 1)
    child.end()
    wait_until(lambda: offset(catalog, store, 6) == where, "the memory of the child")
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)


@linux_only
def test_what_a_child_cannot_have_is_used_again_while_it_lives(opened):
    catalog, store = opened
    before = keep(catalog, store, "before", make(0))[1]
    assert spread(store.load("before", catalog.handle("before"))) == (0, 0)
    catalog.release(["before"])
    child = Child(os.getpid)
    places = set()
    for n in range(5):
        keep(catalog, store, "x", make(n))
        assert spread(store.load("x", catalog.handle("x"))) == (n, n)
        places.add(catalog.handle("x")[1])
        catalog.release(["x"])
    assert places == {before}
    child.end()


def test_more_children_than_there_are_marks_for_keep_what_they_inherit(opened):
    catalog, store = opened
    children = []
    for n in range(40):
        keep(catalog, store, "x", make(n))
        table = store.load("x", catalog.handle("x"))
        children.append(Child(lambda table=table: spread(table)))
        del table
        catalog.release(["x"])
    assert [child() for child in children] == [(n, n) for n in range(40)]
    for child in children:
        child.end()
    assert [spread(store.load("x", keep(catalog, store, "x", make(n)))) for n in range(3)] == [(0, 0), (1, 1), (2, 2)]


def test_without_marks_what_a_child_has_stays_for_good(opened, monkeypatch):
    monkeypatch.setattr(marks, "can_count", lambda: False)
    monkeypatch.setattr(forks, "_here", forks.Forks())
    catalog = SharedMemoryCatalog()
    store = catalog.open({}, Reach.PROCESS, 1)
    where = keep(catalog, store, "x", make(1))[1]
    table = store.load("x", catalog.handle("x"))
    child = Child(lambda table=table: spread(table))
    del table
    catalog.release(["x"])
    assert where not in {offset(catalog, store, n) for n in range(5)}
    assert child() == (1, 1)
    child.end()
    assert offset(catalog, store, 6) != where
    catalog.close()


# -- what was not loaded


def test_a_child_reads_a_result_that_its_parent_has_open_and_never_anything_else_in_its_place(options):
    with Runner("process_pool", workers=1, catalog_options=options) as runner:
        result = runner.run(flow, {"n": 3})
        child = Child(lambda: spread(result["x"]))
        runner.run(many, {"n": 4}).close()
        assert child() == (3, 3)
        result.close()
        for n in range(5, 8):
            runner.run(many, {"n": n}).close()
        with pytest.raises(DatasetError, match="x"):
            child()
        child.end()
