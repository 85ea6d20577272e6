"""Nodes that name the executor they run on: one run, several executors."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

import kernel
from kernel import Datasets, Runner, node, pipeline, run
from kernel.datasets import Dataset, MemoryDataset
from kernel.errors import ConfigError, NodeError, ValidationError, WorkerLost

HERE = os.getpid()


def where(*_):
    return os.getpid()


def both(*values):
    return [*values]


def boom(_):
    raise ValueError("on purpose")


class Connection(Dataset):
    """Can be used in one process only, and not be pickled."""

    single_process = True

    def __init__(self):
        self.lock = threading.Lock()
        self.saved = []

    def load(self):
        return len(self.saved)

    def save(self, data):
        self.saved.append((os.getpid(), data))

    def exists(self):
        return True


def test_a_node_runs_where_it_says_and_all_others_where_the_run_says():
    flow = pipeline(
        [
            node(where, "start", "a", name="in_the_pool"),
            node(where, "a", "b", name="here", executor="sequential"),
            node(where, "b", "c", name="in_the_pool_again"),
            node(where, "c", "d", name="in_a_thread", executor="threads"),
            node(both, ["a", "b", "c", "d"], "all", name="gather"),
        ]
    )
    result = run(flow, {"start": 1}, executor="process_pool", workers=2)
    pool, here, again, thread = result["all"]
    assert (here, thread) == (HERE, HERE)
    assert HERE not in {pool, again}
    assert {task.node for task in result.report.tasks} == {each.name for each in flow.nodes}


def test_what_must_stay_in_one_process_is_loaded_and_saved_by_the_node_that_stays():
    connection = Connection()
    lock = threading.Lock()

    def holds_a_lock(value):
        with lock:
            return value, HERE

    flow = pipeline(
        [
            node(where, "start", "made", name="make"),
            node(holds_a_lock, "made", ["out", "where"], name="keep", executor="sequential"),
            node(str, "out", "connection", name="write", executor="sequential"),
            node(int, "connection", "count", name="read", executor="sequential"),
        ]
    )
    datasets = Datasets({"start": 1, "connection": connection})
    result = run(flow, datasets, executor="process_pool", workers=2)
    assert result["where"] == HERE
    assert result["count"] == 1
    assert [pid for pid, _ in connection.saved] == [HERE]


def make_handmade(_):
    return Handmade()


def unsent():
    """Return datasets of which two hand on the very object: there is no copy of such a value."""
    given, made = MemoryDataset(Handmade(), copy_mode="assign"), MemoryDataset(copy_mode="assign")
    return Datasets({"start": 1, "given": given, "made": made})


def locked(lock, other):
    with lock, other:
        return os.getpid()


def test_values_that_cannot_be_sent_may_go_between_nodes_that_stay():
    flow = pipeline(
        [
            node(make_handmade, "start", "made", name="make", executor="sequential"),
            node(locked, ["made", "given"], "where", name="use", executor="sequential"),
            node(where, "where", "pool", name="elsewhere"),
        ]
    )
    result = run(flow, unsent(), executor="process_pool", workers=1)
    assert result["pool"] != HERE
    assert run(flow, unsent(), executor="sequential")["pool"] == HERE


def test_such_values_stay_also_where_the_run_itself_stays_and_single_nodes_do_not():
    flow = pipeline(
        [
            node(make_handmade, "start", "made", name="make"),
            node(locked, ["made", "given"], "where", name="use"),
            node(where, "where", "pool", name="elsewhere", executor="process_pool"),
        ]
    )
    result = run(flow, unsent(), executor="threads", workers=1)
    assert result["pool"] != HERE


def test_nodes_that_two_executors_refuse_are_told_of_in_one_error():
    lock = threading.Lock()
    flow = pipeline(
        [
            node(lambda _: lock, "start", "a", name="one"),
            node(lambda _: lock, "start", "b", name="other", executor="futures"),
            node(where, "start", "c", name="here", executor="sequential"),
        ]
    )
    with pytest.raises(ValidationError) as caught:
        run(flow, {"start": 1}, executor="process_pool")
    told = "\n".join(caught.value.problems)
    assert "'one'" in told
    assert "'other'" in told


def test_a_value_that_cannot_be_sent_and_is_read_elsewhere_is_refused():
    flow = pipeline([node(where, "given", "x", name="far"), node(where, "start", "y", executor="sequential")])
    with pytest.raises(ValidationError, match="given"):
        run(flow, {"start": 1, "given": threading.Lock()}, executor="process_pool")


class Handmade:
    """A context that cannot be pickled."""

    def __init__(self):
        self.lock = threading.Lock()

    def __enter__(self):
        self.lock.acquire()

    def __exit__(self, *_):
        self.lock.release()


def test_a_node_that_does_not_stay_is_still_refused():
    flow = pipeline(
        [node(where, "start", "connection", name="write"), node(where, "start", "x", executor="sequential")]
    )
    with pytest.raises(ValidationError, match="executor='sequential'"):
        run(flow, Datasets({"start": 1, "connection": Connection()}), executor="process_pool")


def test_an_executor_that_is_not_installed_is_refused_with_the_node_that_names_it():
    flow = pipeline([node(where, "start", "x", name="lost", executor="nowhere"), node(where, "start", "y")])
    with pytest.raises(ConfigError, match=r"node 'lost': no executor named 'nowhere'"):
        run(flow, {"start": 1})


def test_a_limit_of_time_is_refused_where_the_node_runs():
    flow = pipeline([node(where, "start", "x", name="n", executor="threads", timeout=1.0)])
    with pytest.raises(ValidationError, match="'n' has a timeout"):
        run(flow, {"start": 1}, executor="process_pool")


def test_a_failure_on_one_executor_ends_the_run_on_all():
    flow = pipeline(
        [
            node(boom, "start", "a", name="fails", executor="sequential"),
            *(node(where, "start", f"o{at}", name=f"n{at}") for at in range(20)),
            node(both, ["a", "o1"], "z", name="never"),
        ]
    )
    with pytest.raises(NodeError) as caught:
        run(flow, {"start": 1}, executor="process_pool", workers=2)
    assert caught.value.node == "fails"
    assert isinstance(caught.value.cause, ValueError)


def test_workers_of_all_executors_are_kept_warm():
    flow = pipeline(
        [node(where, "start", "a", name="pool"), node(where, "start", "b", name="other", executor="futures")]
    )
    with Runner("process_pool", workers=1) as runner:
        first, second = (dict(runner.run(flow, {"start": 1})) for _ in range(2))
    assert first == second
    assert len({HERE, *first.values()}) == 3


def test_nodes_of_the_driver_do_not_hold_up_those_elsewhere(tmp_path):
    flow = pipeline(
        [
            *(node(where, ["start", f"p{at - 1}"] if at else "start", f"p{at}", name=f"pool{at}") for at in range(5)),
            *(node(where, "start", f"s{at}", name=f"here{at}", executor="sequential") for at in range(50)),
        ]
    )
    result = run(flow, {"start": 1}, executor="process_pool", workers=2)
    assert {result[f"s{at}"] for at in range(50)} == {HERE}
    assert result["p4"] != HERE


def test_one_run_on_threads_may_have_nodes_in_processes():
    flow = pipeline(
        [
            node(where, "start", "a", name="thread"),
            node(where, "a", "b", name="process", executor="process_pool"),
            node(both, ["a", "b"], "all"),
        ]
    )
    thread, process = run(flow, {"start": kernel.__name__}, executor="threads", workers=2)["all"]
    assert thread == HERE != process


def die_once(folder, _):
    mark = Path(folder) / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


@pytest.mark.parametrize(("main", "other"), [("threads", "process_pool"), ("process_pool", "futures")])
def test_a_lost_worker_is_survived_whoever_had_it(tmp_path, main, other):
    flow = pipeline(
        [
            node(where, "start", "a", name="first"),
            node(die_once, ["folder", "a"], "b", name="fatal", executor=other),
            node(both, ["a", "b"], "all", name="last"),
        ]
    )
    result = run(flow, {"start": 1, "folder": str(tmp_path)}, executor=main, workers=1)
    assert len(set(result["all"])) == 2
    assert {task.node: task.attempt for task in result.report.tasks if task.end}["fatal"] == 2


# -- losses -----------------------------------------------------------------------------------------------------------


def killed(_):
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_worker_lost_on_another_executor_is_told_of_as_on_that_one_alone():
    told = []
    for main, placed in (("futures", {}), ("sequential", {"executor": "futures"})):
        flow = pipeline([node(killed, "s", "a", name="killer", **placed), node(where, "s", "b", name="here")])
        with pytest.raises(WorkerLost) as caught:
            run(flow, {"s": 1}, executor=main, workers=2, on_failure="continue")
        told.append((caught.value.node, caught.value.how, caught.value.worker))
    assert told[0] == told[1]
    assert told[0][0] == "killer"


def make_large(folder):
    with (Path(folder) / "ran").open("a") as file:
        file.write("x")
    return bytes(200_000)


def stop_once(folder, value):
    if not (Path(folder) / "go").exists():
        raise ValueError("on purpose")
    return len(value)


def test_a_mixed_run_goes_on_with_what_was_kept(tmp_path):
    flow = pipeline(
        [
            node(make_large, "folder", "large", name="make"),
            node(stop_once, ["folder", "large"], "size", name="stop"),
            node(where, "folder", "pid", name="here", executor="sequential"),
            node(both, "pid", "said", name="say", executor="sequential"),
        ]
    )
    options = {"url": str(tmp_path / "kept")}
    given = {"folder": str(tmp_path)}
    with pytest.raises(NodeError, match="on purpose") as caught:
        run(flow, given, executor="process_pool", workers=1, catalog="objects", catalog_options=options)
    (tmp_path / "go").touch()
    options |= caught.value.catalog_options
    with run(flow, given, executor="process_pool", workers=1, catalog="objects", catalog_options=options) as result:
        assert dict(result) == {"size": 200_000, "said": [HERE]}
    assert (tmp_path / "ran").read_text() == "x"
