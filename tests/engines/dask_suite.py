"""The executor on Dask, on a scheduler and two workers; `test_engine_dask.py` runs this in a network of its own."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path

import dask_nodes
import distributed
import pytest
from dask_cluster import ALLOWED_FAILURES, address, cluster

from kernel import Runner, node, pipeline
from kernel import run as run_pipeline
from kernel.errors import ConfigError, KernelError, NodeError, ValidationError, WorkerLost
from kernel.testing import ExecutorSuite, functions
from kernel.testing.kept import Kept
from kernel_dask import DaskExecutor
from kernel_memory import MemoryCatalog
from watching import descendants, is_alive, wait_until

FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"


def run(nodes, values=None, **options):
    return run_pipeline(pipeline(nodes), values, **options)


@pytest.fixture(scope="module")
def grown(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("dask")) as found:
        file, _ = found
        with distributed.Client(address(file), set_as_default=False) as client:
            client.wait_for_workers(2, timeout=60)
        yield found


@pytest.fixture(scope="module")
def scheduler_file(grown):
    return grown[0]


@pytest.fixture
def both(scheduler_file):
    """Wait until both workers are there: one may still be coming back from the test before."""
    with distributed.Client(address(scheduler_file), set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)
    return {"executor": DaskExecutor, "executor_options": {"address": address(scheduler_file)}, "plugins": False}


@pytest.fixture
def asked(both, scheduler_file):
    """Return what asks the scheduler, and runs a function there."""
    with distributed.Client(address(scheduler_file), set_as_default=False) as client:
        yield client


class TestConformance(ExecutorSuite):
    capabilities = DaskExecutor.capabilities

    @pytest.fixture
    def executor_factory(self, both):
        return partial(DaskExecutor, **both["executor_options"])

    @pytest.fixture
    def catalog_factory(self):
        return MemoryCatalog


# ---- values


def test_large_values_do_not_pass_through_the_runner(both):
    nodes = [node(dask_nodes.big_and_whose, "mebibytes", "v0", name="make")]
    nodes += [node(dask_nodes.add_one, f"v{at}", f"v{at + 1}", name=f"add{at}") for at in range(4)]
    nodes += [node(dask_nodes.first_of, ["v4", *(f"v{at}" for at in range(4))], "first", name="first")]
    tracemalloc.start()
    try:
        with run(nodes, {"mebibytes": 16}, **both) as result:
            assert result["first"] > 4
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 << 20


def test_a_large_output_is_brought_at_the_end(both):
    with run([node(dask_nodes.big_and_whose, "mebibytes", "big")], {"mebibytes": 16}, **both) as result:
        assert result["big"].nbytes == 16 << 20


def test_values_are_loaded_and_saved_asynchronously_when_asked(both, tmp_path):
    kept = {name: Kept(str(tmp_path / name)) for name in ("in", "out")}
    kept["in"].save([5])
    nodes = [node(functions.pair, "in", ["between", "kind"]), node(functions.pass_on, "between", "out")]
    with run(nodes, kept, is_async=True, **both) as result:
        assert dict(result) == {"kind": "list", "out": [5]}


def test_only_what_is_missing_is_run(both, tmp_path):
    kept = {name: Kept(str(tmp_path / name)) for name in ("first", "second")}
    kept["first"].save(1)
    nodes = [
        node(functions.fail, "free", "first", name="first"),
        node(functions.add, "first", "second", name="second"),
    ]
    with run(nodes, {**kept, "free": 1}, only_missing_outputs=True, **both):
        assert kept["second"].load() == 2


def test_logs_and_notes_come_back(both, caplog):
    caplog.set_level(logging.INFO)
    nodes = [node(dask_nodes.logs, f"name{at}", f"o{at}", name=f"n{at}") for at in range(3)]
    with run(nodes, {f"name{at}": f"node {at}" for at in range(3)}, **both) as result:
        assert {task.node: task.notes["noted"] for task in result.report.tasks} == {
            f"n{at}": f"NODE {at}" for at in range(3)
        }
    told = {record.getMessage() for record in caplog.records if record.name == "of.a.node"}
    assert told == {f"node {at} was here" for at in range(3)}


def large_values(client):
    """Return the bytes of the values of runs of ours that the cluster holds now."""

    def look(dask_scheduler):
        tasks = dask_scheduler.tasks.items()
        return sum(task.nbytes or 0 for key, task in tasks if task.who_has and "/" in str(key))

    return client.run_on_scheduler(look)


def test_values_are_let_go_while_the_run_goes_on(both, asked, tmp_path):
    nodes = [node(dask_nodes.big_and_whose, "mebibytes", f"big{at}", name=f"make{at}") for at in range(4)]
    nodes += [node(dask_nodes.first_of, f"big{at}", f"{side}{at}") for at in range(4) for side in ("one", "other")]
    seen = [f"{side}{at}" for at in range(4) for side in ("one", "other")]
    nodes += [node(dask_nodes.wait_for_gate, "folder", "pid", name="wait", after=[f"make{at}" for at in range(4)])]
    nodes += [node(functions.add, seen, "sum", name="sum")]
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, nodes, {"mebibytes": 8, "folder": str(tmp_path)}, **both)
        try:
            wait_until(lambda: list(tmp_path.glob("waits.*")), "one node waits")
            wait_until(lambda: large_values(asked) < 1 << 20, "what was read is let go")
        finally:
            (tmp_path / "gate").touch()
        with running.result() as result:
            assert result["pid"]


# ---- lost workers


def test_a_finished_node_whose_value_is_lost_with_its_worker_runs_again(both, tmp_path):
    listener = dask_nodes.KillsTheMaker(str(tmp_path))
    nodes = [
        node(dask_nodes.big_with_pid, "mebibytes", "big", name="make"),
        node(dask_nodes.wait_for_gate, "folder", "waited", name="wait"),
        node(dask_nodes.first_of, ["big", "waited"], "first", name="read"),
    ]
    with run(nodes, {"mebibytes": 1, "folder": str(tmp_path)}, hooks=[listener], **both) as result:
        assert result["first"] == 0
    assert ("make", 2) in listener.repeated
    assert listener.lost
    assert sorted(listener.done) == ["make", "read", "wait"]


def test_a_node_that_always_kills_its_worker_is_named_with_the_number_of_its_executions(both, tmp_path):
    nodes = [
        node(functions.die, ["folder", "v"], None, name="to_blame"),
        *(node(functions.pass_on_counted, ["folder", "v"], f"o{at}", name=f"n{at}") for at in range(6)),
    ]
    with pytest.raises(WorkerLost, match="to_blame") as caught:
        run(nodes, {"folder": str(tmp_path), "v": 1}, on_failure="continue", **both)
    assert caught.value.attempts == ALLOWED_FAILURES + 1 == (tmp_path / "died").stat().st_size
    assert not caught.value.others
    assert (tmp_path / "ran").stat().st_size >= 6


# ---- resources


def test_resources_are_honoured(both, tmp_path):
    folder = str(tmp_path)
    nodes = [node(dask_nodes.at_work, ["folder", f"n{at}"], f"t{at}", resources={"gpu": 1}) for at in range(4)]
    with run(nodes, {"folder": folder, **{f"n{at}": at for at in range(4)}}, **both) as result:
        times = sorted(result.values())
    for at, (begun, _) in enumerate(times):
        assert sum(other <= begun < end for other, end in times[:at]) < 2


def test_resources_that_no_worker_has_are_refused_at_once(both):
    nodes = [node(functions.constant, None, "v", name="greedy", resources={"gpu": 2, "cpu": 64})]
    with pytest.raises(ValidationError) as caught:
        run(nodes, **both)
    assert len(caught.value.problems) == 2
    assert all("greedy" in problem for problem in caught.value.problems)


def test_a_time_limit_is_refused(both):
    with pytest.raises(ValidationError, match="slow"):
        run([node(functions.constant, None, "v", name="slow", timeout=1.0)], **both)


# ---- the cluster


def test_a_scheduler_file_says_where_the_cluster_is(both, scheduler_file):
    options = {**both, "executor_options": {"scheduler_file": str(scheduler_file)}}
    with run([node(functions.constant, None, "v")], **options) as result:
        assert dict(result) == {"v": 1}


@pytest.mark.parametrize(
    "where",
    [{"address": "tcp://127.0.0.1:1"}, {"address": "nonsense://x"}, {"scheduler_file": "not-there.json"}],
    ids=["nobody there", "no address", "no file"],
)
def test_a_cluster_that_cannot_be_reached_is_named(where):
    with pytest.raises(ConfigError) as caught:
        run([node(functions.constant, None, "v")], executor=DaskExecutor, executor_options={**where, "timeout": "0.5"})
    assert next(iter(where.values())) in str(caught.value)
    assert "0.5" in str(caught.value)


def test_two_runs_share_a_cluster(both):
    def numbers(seed):
        nodes = [node(functions.add, "free", f"v{at}", name=f"n{at}") for at in range(20)]
        nodes.append(node(functions.add, [f"v{at}" for at in range(20)], "sum", name="sum"))
        with run(nodes, {"free": seed}, **both) as result:
            return result["sum"]

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(numbers, [1, 100])) == [20 * 2 + 1, 20 * 101 + 1]


def kept_by_scheduler(client):
    """Say what a scheduler knows of runs of ours."""

    def look(dask_scheduler):  # it goes there by value
        topics = [name for name in dask_scheduler._broker._topics if "/" in name and "://" not in name]
        return [list(dask_scheduler.worker_plugins), [key for key in dask_scheduler.tasks if "/" in str(key)], topics]

    return client.run_on_scheduler(look)


def kept_by_workers(client):
    def look():
        from kernel_dask import workplace
        from kernel_remote import booth

        return [*workplace._places, *booth._booths]

    return [key for keys in client.run(look).values() for key in keys]


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_the_cluster_is_left_as_it_was(both, asked, ends):
    threads = threading.active_count()
    before = kept_by_scheduler(asked)
    nodes = [node(functions.pass_on, "free", f"o{at}", name=f"n{at}") for at in range(6)]
    nodes += [node(functions.fail, "o0", None, name="bad")] if ends == "badly" else []
    try:
        run(nodes, {"free": bytes(1 << 20)}, **both).close()
    except NodeError:
        assert ends == "badly"
    wait_until(lambda: kept_by_scheduler(asked) == before, "the scheduler forgets")
    wait_until(lambda: not kept_by_workers(asked), "the workers forget")
    wait_until(lambda: threading.active_count() <= threads, "threads end")


SCRIPT = """
import pickle, sys, time
from pathlib import Path

from kernel import node, pipeline, run

mine, other, address = sys.argv[1:]


class Model:
    whose = mine


def main():
    return "the script's"


def look(_):
    import __main__

    kept = pickle.loads(pickle.dumps([Model(), main]))
    return [type(kept[0]) is Model, __main__.Model.whose, kept[1]() == __main__.main() == "the script's"]


# Both begin at once. Their nodes do not wait for each other: those of one may fill all workers.
Path(mine).touch()
until = time.monotonic() + 30
while not Path(other).exists() and time.monotonic() < until:
    time.sleep(0.01)
steps = [node(look, "start", f"o{at}", name=f"{mine}{at}") for at in range(40)]
with run(pipeline(steps), {"start": 0}, executor="dask", executor_options={"address": address}) as result:
    print(*{str(value) for value in result.values()})
"""


def test_two_scripts_at_once_each_find_their_own_classes_and_workers_have_their_own_again(both, asked, tmp_path):
    def mains():
        return {type(sys.modules["__main__"]).__name__ for sys in [__import__("sys")]}

    (tmp_path / "script.py").write_text(SCRIPT)
    address = both["executor_options"]["address"]
    running = [
        subprocess.Popen(
            [sys.executable, "script.py", *names, address], cwd=tmp_path, stdout=subprocess.PIPE, text=True
        )
        for names in (("a", "b"), ("b", "a"))
    ]
    printed = [process.communicate(timeout=60)[0] for process in running]
    assert printed == [f"[True, '{name}', True]\n" for name in "ab"]
    wait_until(lambda: set().union(*asked.run(mains).values()) == {"module"}, "the workers have their own main module")


@pytest.mark.parametrize("step", ["save", "load"])
def test_what_a_script_defines_is_the_same_in_its_workers_and_files(both, tmp_path_factory, step):
    file = tmp_path_factory.getbasetemp() / "kept-by-a-script"
    script = Path(__file__).parents[1] / "main_script.py"
    options = json.dumps({"executor_options": both["executor_options"]})
    done = subprocess.run(
        [sys.executable, script, step, file, "dask", options], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "false" not in done.stdout


def test_workers_that_come_later_take_part(grown, both, tmp_path):
    _, start_worker = grown
    # Names that no other test has: Dask guesses from the nodes of a name how long the next takes, and moves none
    # to another worker that it takes for shorter than the move.
    nodes = [node(dask_nodes.wait_for_gate, "folder", f"pid{at}", name=f"waiting{at}") for at in range(3)]
    late = []

    def join():
        wait_until(lambda: len(list(tmp_path.glob("waits.*"))) == 2, "both workers are busy")
        late.append(start_worker())
        wait_until(lambda: len(list(tmp_path.glob("waits.*"))) == 3, "the third takes up a node")
        (tmp_path / "gate").touch()

    joiner = threading.Thread(target=join)
    joiner.start()
    try:
        with run(nodes, {"folder": str(tmp_path)}, workers=3, **both) as result:
            assert len(set(result.values())) == 3
    finally:
        joiner.join()
        for process in late:
            process.terminate()
            process.wait()


def test_a_cluster_without_workers_is_waited_for_and_that_is_said(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("kernel_dask.watch._ABSENCE_S", 0.1)
    with cluster(tmp_path, workers=0) as (file, start_worker), ThreadPoolExecutor(1) as pool:
        options = {"executor": DaskExecutor, "executor_options": {"scheduler_file": str(file)}, "plugins": False}
        nodes = [node(functions.constant, None, "v", name="patient", resources={"GPU": 1})]
        running = pool.submit(run, nodes, **options)
        wait_until(lambda: "no worker now" in caplog.text, "the warning")
        assert f"cluster at {address(file)}" in caplog.text
        assert "'patient' waits" in caplog.text
        start_worker("--resources", "GPU=1")
        with running.result() as result:
            assert dict(result) == {"v": 1}


def test_a_scheduler_that_is_lost_ends_the_run(tmp_path):
    with cluster(tmp_path, workers=1) as (file, _), ThreadPoolExecutor(1) as pool:
        options = {"executor": DaskExecutor, "executor_options": {"scheduler_file": str(file), "timeout": 1}}
        nodes = [node(dask_nodes.wait_for_gate, "folder", "v", name="n")]
        running = pool.submit(run, nodes, {"folder": str(tmp_path)}, plugins=False, **options)
        wait_until(lambda: list(tmp_path.glob("waits.*")), "the node runs")
        (scheduler,) = [
            pid for pid in descendants(os.getpid()) if {b"scheduler", os.fsencode(file)} <= {*command(pid).split(b"\0")}
        ]
        os.kill(scheduler, signal.SIGKILL)
        with pytest.raises(KernelError, match="scheduler at tcp://"):
            running.result()
        (tmp_path / "gate").touch()


def command(pid):
    return Path(f"/proc/{pid}/cmdline").read_bytes()


# ---- a cluster of one's own


def test_without_an_address_a_cluster_is_made_and_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    before = set(descendants(os.getpid()))
    nodes = [node(functions.pid, None, f"p{at}", name=f"n{at}") for at in range(4)]
    with Runner(DaskExecutor, workers=2, plugins=False) as runner:
        with runner.run(pipeline(nodes)) as result:
            made = set(descendants(os.getpid())) - before
            assert set(result.values()) <= made
        with runner.run(pipeline(nodes)) as result:
            assert set(result.values()) <= made
    wait_until(lambda: not any(map(is_alive, made)), "its processes end")
    assert not list(tmp_path.iterdir())


def abandoned_semaphores():
    """List those of `multiprocessing` that no living process has."""
    there = {str(path) for path in Path("/dev/shm").glob("sem.mp-*")}
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with suppress(OSError):
            there -= {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines() if "/sem.mp-" in line}
    return there


def test_ctrl_c_ends_the_run_and_the_cluster_at_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import sys\n"
        "from kernel import node, pipeline, run\n"
        "from kernel.testing import functions\n"
        "nodes = [node(functions.wait_for, 'folder', 'v', name='n')]\n"
        "run(pipeline(nodes), {'folder': sys.argv[1]}, executor='dask', workers=1, grace_s=0.5)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    shared = abandoned_semaphores()
    with (tmp_path / "told").open("wb") as told:
        process = subprocess.Popen([sys.executable, script, tmp_path], stderr=told, env=environment)
    try:
        wait_until((tmp_path / "mine").exists, "the node runs")
        made = descendants(process.pid)
        process.send_signal(signal.SIGINT)
        process.wait(30)
    finally:
        process.kill()
        process.wait()
    assert "Interrupted" in (tmp_path / "told").read_text()
    wait_until(lambda: not any(map(is_alive, made)), "its processes end")
    assert not list(tmp_path.glob("kernel-dask-*"))
    wait_until(lambda: not abandoned_semaphores() - shared, "its semaphores go")


# ---- the example


def metrics(folder, *options):
    shutil.copytree(FLIGHTS, folder, ignore=shutil.ignore_patterns("data"))
    command = [
        sys.executable,
        "-m",
        "kernel",
        "run",
        folder,
        "--params",
        "trees.rounds=2",
        "--to-outputs",
        "metrics",
        *options,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "data" / "metrics.json").read_text())


def test_the_flights_come_to_the_same_metrics_as_in_one_process(both, tmp_path):
    there = metrics(
        tmp_path / "dask",
        "--executor",
        "dask",
        "--executor-option",
        f"address={both['executor_options']['address']}",
    )
    assert there == metrics(tmp_path / "sequential", "--executor", "sequential")
