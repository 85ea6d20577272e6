"""The executor on Ray: the conformance kit and what is Ray's own, on a cluster of two machines of one CPU each.

Run in a network of its own, for Ray listens on every interface: see tests/test_engine_ray.py.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

os.environ.update(
    RAY_USAGE_STATS_ENABLED="0",
    RAY_AUTH_MODE="disabled",  # nobody else is in this network
    RAY_ENABLE_UV_RUN_RUNTIME_ENV="0",  # below `uv run`, workers would make environments from a network
    RAY_health_check_period_ms="500",  # a machine that is lost shall be missed soon
    RAY_health_check_failure_threshold="3",
    RAY_TMPDIR=tempfile.mkdtemp(prefix="kr-", dir="/tmp"),  # its sockets need short names
)

import pytest
import ray
import ray_nodes
from ray.cluster_utils import Cluster

from kernel import Runner, hookimpl, node, pipeline
from kernel.errors import ConfigError, NodeError, ValidationError, WorkerLost
from kernel.testing import ExecutorSuite
from kernel.testing.kept import Kept
from kernel_memory import MemoryCatalog
from kernel_ray import RayExecutor
from kernel_remote.engine import Ref
from watching import wait_until

FOLDER = Path(os.environ["RAY_TMPDIR"])
FLIGHTS = Path(__file__).parents[2] / "examples" / "flights"
MEMORY = 500_000_000
HUGE = ray_nodes.HUGE

#: Older versions of Ray leave it to the collector to close their files.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")


@pytest.fixture(scope="module")
def cluster():
    made = Cluster(shutdown_at_exit=False)
    made.add_node(num_cpus=1, object_store_memory=MEMORY, include_dashboard=False)
    made.add_node(num_cpus=1, object_store_memory=MEMORY, resources={"gold": 2, "silver": 1})
    yield made
    ray.shutdown()
    made.shutdown()
    shutil.rmtree(FOLDER)


@pytest.fixture(scope="module")
def factory(cluster):
    return partial(RayExecutor, cluster.address)


@pytest.fixture(scope="module")
def connected(factory):
    """Keep this process connected, so that not every test has to wait for workers."""
    with Runner(factory, plugins=False) as runner:
        runner.run(pipeline([node(ray_nodes.add_one, "x", "y")]), {"x": 1})
        yield


@pytest.fixture
def run(connected, factory):
    """Return what runs nodes on the cluster."""

    def run_nodes(nodes, values=None, *, only_missing_outputs=False, **options):
        runner = Runner(factory, plugins=False, **options)
        return runner.run(pipeline(nodes), values, only_missing_outputs=only_missing_outputs)

    return run_nodes


class TestRay(ExecutorSuite):
    capabilities = RayExecutor.capabilities

    @pytest.fixture
    def executor_factory(self, factory):
        return factory

    @pytest.fixture
    def catalog_factory(self):
        return MemoryCatalog


class Listens:
    """Notes what is done, lost, and run again."""

    def __init__(self):
        self.done, self.lost, self.repeated = [], [], []

    @hookimpl
    def on_task_done(self, node):
        self.done.append(node.name)

    @hookimpl
    def on_worker_lost(self, node, error):
        self.lost.append((node.name, str(error)))

    @hookimpl
    def on_node_repeated(self, node, attempt):
        self.repeated.append((node.name, attempt))


class Remembers(MemoryCatalog):
    """Remembers what came to the runner."""

    adopted = {}

    def adopt(self, names, handles):
        names, handles = list(names), list(handles)
        self.adopted.update(zip(names, handles, strict=True))
        super().adopt(names, handles)


def lines(folder, name):
    path = folder / name
    return path.read_text().split() if path.exists() else []


def in_thread(run, *arguments, **options):
    pool = ThreadPoolExecutor(1)
    future = pool.submit(run, *arguments, **options)
    pool.shutdown(wait=False)
    return future


# -- losses -----------------------------------------------------------------------------------------------------------


def test_a_worker_that_is_killed_costs_one_more_try_and_listeners_hear(run, tmp_path):
    listens = Listens()
    nodes = [
        node(ray_nodes.wait_for_gate, "folder", "passed", name="waits"),
        node(ray_nodes.add_one, "passed", "sum", name="adds"),
    ]
    running = in_thread(run, nodes, {"folder": str(tmp_path)}, hooks=[listens])
    wait_until(lambda: lines(tmp_path, "waiting"), "the node runs")
    os.kill(int(lines(tmp_path, "waiting")[0]), signal.SIGKILL)
    wait_until(lambda: len(lines(tmp_path, "waiting")) == 2, "it runs again")
    (tmp_path / "gate").touch()
    with running.result() as result:
        assert dict(result) == {"sum": 2}
        assert {task.node: task.attempt for task in result.report.tasks} == {"waits": 2, "adds": 1}
    ((name, error),) = listens.lost
    assert name == "waits"
    assert "its process or its machine was lost" in error


@pytest.mark.parametrize(("allowed", "starts"), [(0, 1), (2, 3)])
def test_a_node_that_always_kills_its_worker_is_started_as_often_as_allowed(run, tmp_path, allowed, starts):
    listens = Listens()
    with pytest.raises(WorkerLost) as caught:
        run(
            [node(ray_nodes.die, "folder", None, name="n")],
            {"folder": str(tmp_path)},
            death_retries=allowed,
            hooks=[listens],
        )
    assert (caught.value.node, caught.value.attempts, len(lines(tmp_path, "died"))) == ("n", starts, starts)
    assert [name for name, _ in listens.lost] == ["n"]


def test_a_value_that_is_lost_with_its_machine_is_made_again_and_listeners_hear(run, cluster, tmp_path):
    listens = Listens()
    machine = {"num_cpus": 1, "object_store_memory": MEMORY, "resources": {"third": 1}}
    third = cluster.add_node(**machine)
    nodes = [
        node(ray_nodes.make_large, ["folder", "value"], "made", name="makes", resources={"third": 1}),
        node(ray_nodes.wait_for_gate, ["folder"], "passed", name="waits", resources={"gold": 1}),
        node(ray_nodes.size, ["made", "passed"], "size", name="reads", resources={"gold": 1}),
    ]
    running = in_thread(run, nodes, {"folder": str(tmp_path), "value": 7}, hooks=[listens])
    try:
        wait_until(lambda: "makes" in listens.done and lines(tmp_path, "waiting"), "the value is there")
        cluster.remove_node(third, allow_graceful=False)
        third = cluster.add_node(**machine)
        (tmp_path / "gate").touch()
        with running.result() as result:
            assert dict(result) == {"size": 2_000_000}
    finally:
        cluster.remove_node(third)
    assert len(lines(tmp_path, "made")) == 2
    assert listens.repeated == [("makes", 2)]
    assert listens.lost == []


# -- placement --------------------------------------------------------------------------------------------------------


def test_what_a_node_asks_for_is_where_it_runs(run, cluster):
    (place,) = [each["NodeID"] for each in ray.nodes() if each["Alive"] and "gold" in each["Resources"]]
    nodes = [node(ray_nodes.which_machine, "x", f"at{each}", resources={"gold": 2}) for each in range(4)]
    with run(nodes, {"x": 1}) as result:
        assert set(dict(result).values()) == {place}


@pytest.mark.parametrize("wish", [{"gold": 3}, {"gpu": 1}, {"cpu": 2}, {"memory": 1 << 60}])
def test_what_no_machine_has_is_refused_at_once(run, wish):
    with pytest.raises(ValidationError, match="asks for"):
        run([node(ray_nodes.add_one, "x", "y", name="n", resources=wish)], {"x": 1})


def test_what_no_machine_has_all_of_is_refused_too(run, cluster):
    other = cluster.add_node(num_cpus=1, object_store_memory=MEMORY, resources={"copper": 1})
    try:
        with pytest.raises(NodeError, match="no machine of the cluster has all"):
            run([node(ray_nodes.add_one, "x", "y", name="n", resources={"gold": 1, "copper": 1})], {"x": 1})
    finally:
        cluster.remove_node(other)


# -- values, runs, what comes back ------------------------------------------------------------------------------------


def test_large_values_do_not_pass_through_the_runner(run, tmp_path):
    nodes = [
        node(ray_nodes.make_large, ["folder", "value"], "made", name="makes"),
        node(ray_nodes.size, "made", "size", name="reads"),
        node(ray_nodes.joined, ["made", "made"], "twice", name="joins"),
    ]
    with run(nodes, {"folder": str(tmp_path), "value": 7}, catalog=Remembers) as result:
        assert (result["size"], result["twice"]) == (2_000_000, bytes([7]) * 4_000_000)
    assert type(Remembers.adopted["made"]) is Ref
    assert type(Remembers.adopted["twice"]) is bytes  # outputs are brought, at the end


def test_values_are_let_go_while_the_run_goes_on(run):
    """Half as much again as both stores hold comes and goes: had it to stay, Ray would write it to files."""
    count = 3 * MEMORY // HUGE
    nodes, before = [], ["free"]
    for at in range(count):
        nodes.append(node(ray_nodes.make_huge, before, f"huge{at}", name=f"make{at}"))
        before = [f"{side}{at}" for side in ("one", "other")]
        nodes += [node(ray_nodes.size, f"huge{at}", name, name=name) for name in before]
    with run(nodes, {"free": 1}) as result:
        assert [result[name] for name in before] == [HUGE, HUGE]
    assert not list(FOLDER.rglob("ray_spilled_objects*/*"))


def test_two_runs_at_once_keep_apart(run, tmp_path):
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    running = [
        in_thread(
            run,
            [node(ray_nodes.wait_for_gate, "folder", "v"), node(ray_nodes.add_one, "v", f"out of {name}")],
            {"folder": str(tmp_path / name)},
        )
        for name in ("one", "two")
    ]
    wait_until(lambda: lines(tmp_path / "one", "waiting") and lines(tmp_path / "two", "waiting"), "both run")
    for name in ("two", "one"):
        (tmp_path / name / "gate").touch()
    assert [dict(each.result()) for each in running] == [{"out of one": 2}, {"out of two": 2}]


@pytest.mark.parametrize("step", ["save", "load"])
def test_what_a_script_defines_is_the_same_in_its_workers_and_files(cluster, tmp_path_factory, step):
    file = tmp_path_factory.getbasetemp() / "kept-by-a-script"
    script = Path(__file__).parents[1] / "main_script.py"
    options = json.dumps({"executor_options": {"address": cluster.address}})
    done = subprocess.run(
        [sys.executable, script, step, file, "ray", options], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "false" not in done.stdout


@pytest.mark.parametrize("is_async", [False, True])
def test_only_what_is_missing_is_made(run, tmp_path, is_async):
    kept = {name: Kept(str(tmp_path / name)) for name in ("a", "b")}
    nodes = [node(ray_nodes.add_one, "x", "a", name="to_a"), node(ray_nodes.add_one, "a", "b", name="to_b")]

    def ran():
        with run(nodes, {"x": 1, **kept}, only_missing_outputs=True, is_async=is_async) as result:
            return sorted(task.node for task in result.report.tasks)

    assert ran() == ["to_a", "to_b"]
    (tmp_path / "b").unlink()
    assert ran() == ["to_b"]
    assert ran() == []
    assert kept["b"].load() == 3


def test_log_records_and_notes_come_back(run, caplog):
    with caplog.at_level(logging.INFO), run([node(ray_nodes.say, "x", "y", name="says")], {"x": 5}) as result:
        (report,) = result.report.tasks
    assert ("flights", logging.WARNING, "the value is 5") in caplog.record_tuples
    assert report.notes == {"value": 5}


# -- connections, each in a process of its own ------------------------------------------------------------------------

SCRIPT = """
import os, signal, sys
import ray
from kernel import node, pipeline, run
import ray_nodes

def ran(**options):
    flow = pipeline([node(ray_nodes.add_one, "x", "y"), node(ray_nodes.make_large, ["folder", "y"], "large")])
    values = {"x": 1, "folder": os.environ["TMPDIR"]}
    with run(flow, values, executor="ray", executor_options=options, workers=1) as result:
        return len(result["large"])
"""


def script(text, tmp_path, *, below=(), **environment):
    """Run a script, `below` another command if one is given; return what it said."""
    home = tmp_path / "home"
    home.mkdir()
    path = os.pathsep.join(map(str, (Path(__file__).parent, Path(__file__).parents[1])))
    given = {**os.environ, "PYTHONPATH": path, "HOME": str(home), **environment}
    given.pop("RAY_TMPDIR")
    done = subprocess.run(
        [*below, sys.executable, "-W", "ignore", "-c", SCRIPT + text],
        executable="/bin/sh" if below else None,
        capture_output=True,
        text=True,
        check=False,
        env=given,
        cwd=tmp_path,
    )
    assert list(home.iterdir()) == []
    return done


def test_an_instance_of_its_own_is_gone_afterwards(tmp_path):
    folder = Path(tempfile.mkdtemp(prefix="kr-", dir="/tmp"))
    before = set(Path("/dev/shm").iterdir())
    mine = """
handler = signal.getsignal(signal.SIGTERM)
print(ran(object_store_memory="100000000"), ray.is_initialized(), signal.getsignal(signal.SIGTERM) is handler)
"""
    done = script(mine, tmp_path, TMPDIR=str(folder))
    assert done.stdout == "2000000 False True\n", done.stderr
    assert [path.name for path in folder.iterdir()] == ["made"]
    assert not [path for path in set(Path("/dev/shm").iterdir()) - before if "plasma" in path.name]
    shutil.rmtree(folder)


def test_an_instance_of_its_own_uses_this_environment_below_uv_run_too(tmp_path):
    (tmp_path / "run").write_text('"$@"\nexit $?\n')  # a shell that goes by the name of uv
    asked = """
with run(pipeline([node(lambda: sys.executable, None, "x")]), executor="ray", workers=1) as result:
    print(result["x"] == sys.executable)
"""
    done = script(asked, tmp_path, below=("uv", "run"), RAY_ENABLE_UV_RUN_RUNTIME_ENV="1")
    assert done.stdout == "True\n", done.stderr


def test_a_connection_of_the_users_is_used_and_left(cluster, tmp_path):
    theirs = f"""
ray.init(address={cluster.address!r}, log_to_driver=False, logging_level="ERROR")
print(ran(), ran(), ray.is_initialized(), ray.get(ray.put(1)))
"""
    done = script(theirs, tmp_path, TMPDIR=str(tmp_path))
    assert done.stdout == "2000000 2000000 True 1\n", done.stderr


@pytest.mark.parametrize("variable", [False, True])
def test_an_address_where_nobody_listens_is_named(tmp_path, variable):
    option, environment = ("", {"RAY_ADDRESS": "127.0.0.1:1"}) if variable else ("address='127.0.0.1:1'", {})
    done = script(f"ran({option})", tmp_path, TMPDIR=str(tmp_path), **environment)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("kernel.errors.KernelError: the executor 'ray' cannot reach a Ray cluster at '127.0.0.1:1'")


def test_an_option_that_ray_does_not_know_is_named():
    with pytest.raises(ConfigError, match=r"no option 'namspace' \(did you mean 'namespace'\?\)"):
        RayExecutor(namspace="mine")


def test_the_flights_come_to_the_same_as_on_one_machine(cluster, tmp_path):
    kernel = [sys.executable, "-m", "kernel", "run"]
    made = {}
    for name, options in (
        ("sequential", []),
        ("ray", ["--executor-option", f"address={cluster.address}"]),
    ):
        folder = tmp_path / name
        shutil.copytree(FLIGHTS, folder, ignore=shutil.ignore_patterns("data"))
        subprocess.run(
            [*kernel, folder, "--executor", name, *options, "--params", "trees.rounds=2", "--to-outputs", "metrics"],
            check=True,
            cwd=tmp_path,
        )
        made[name] = (folder / "data" / "metrics.json").read_text()
    assert made["ray"] == made["sequential"]
