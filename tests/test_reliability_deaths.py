"""A worker that dies costs its node one more try, whatever killed it and wherever it was; nobody else pays."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from textwrap import dedent

import pytest

import fault_nodes as nodes
from kernel import Runner, node, pipeline, run
from kernel.errors import KernelError, WorkerLost
from watching import is_alive

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(scope="module")
def pool():
    with Runner("process_pool", workers=2) as runner:
        yield runner


@pytest.fixture
def mortal():
    return Runner("process_pool", nodes.MortalCatalog, workers=2)


def at_place(place, way, folder, times):
    """Return a pipeline in which the node `deadly` ends its worker at this place, between others that do not."""
    given = {"way": way, "folder": str(folder), "times": times, "x": 1}
    before = [node(nodes.same, "x", f"b{at}", name=f"before_{at}") for at in range(5)]
    after = [node(nodes.add_one, ["x", "made"], f"a{at}", name=f"after_{at}") for at in range(3)]
    what = ["way", "folder", "times"]
    if place == "loading":
        deadly = [
            node(nodes.make_deadly_input, what, "input", name="make"),
            node(nodes.same, "input", "made", name="deadly"),
        ]
    elif place == "loading what the run was given":
        given["input"] = nodes.DiesWhenRebuilt(way, str(folder), times)
        deadly = [node(nodes.same, "input", "made", name="deadly")]
    elif place == "reporting by its handle":
        deadly = [
            node(nodes.die_with_handle, what, "mortal", name="deadly"),
            node(nodes.same, "mortal", "made", name="passes"),
            node(nodes.nothing, "mortal", None, name="reads"),  # for one reader alone it would not have to be published
        ]
    else:
        function = {"running": nodes.die_running, "saving": nodes.die_saving, "reporting": nodes.die_reporting}[place]
        deadly = [node(function, what, "made", name="deadly")]
    return pipeline([*before, *deadly, *after]), given


PLACES = [
    "loading",
    "loading what the run was given",
    "running",
    "saving",
    "reporting",
    "reporting by its handle",
]


@pytest.mark.parametrize("way", nodes.WAYS)
@pytest.mark.parametrize("place", PLACES)
def test_a_worker_that_dies_once_wherever_it_is_costs_one_more_try(pool, mortal, tmp_path, place, way):
    runner = mortal if place == "reporting by its handle" else pool
    steps, given = at_place(place, way, tmp_path, 1)
    with runner.run(steps, given) as result:
        assert dict(result) == {**{f"b{at}": 1 for at in range(5)}, **{f"a{at}": 2 for at in range(3)}}
        tries = {each.node: each.attempt for each in result.report.tasks}
    assert tries["deadly"] == 2
    assert nodes.counted(tmp_path, "tried") >= 2  # what survives may be pickled more than once


@pytest.mark.parametrize("way", nodes.WAYS)
@pytest.mark.parametrize("place", PLACES)
def test_a_node_that_kills_its_worker_twice_is_named_with_the_way_it_died(pool, mortal, tmp_path, place, way):
    runner = mortal if place == "reporting by its handle" else pool
    steps, given = at_place(place, way, tmp_path, 99)
    with pytest.raises(WorkerLost) as caught:
        runner.run(steps, given)
    error = caught.value
    # Results that are packed together die together: whose death it was shows when they are told one by one.
    most = 3 if place == "reporting by its handle" else 2
    assert (error.node, 2 <= error.attempts <= most) == ("deadly", True)
    assert error.pid != os.getpid()
    for part in ("'deadly'", f"{error.attempts} times", f"process {error.pid}"):
        assert part in str(error)
    assert nodes.WORDS[way] in str(error)
    assert nodes.counted(tmp_path, "tried") <= most


@pytest.mark.parametrize(("of_run", "of_node", "tries"), [(0, None, 1), (1, None, 2), (0, 2, 3), (3, 0, 1), (1, 1, 2)])
def test_how_often_a_lost_node_runs_again_is_said_by_the_run_and_by_the_node_before_it(
    tmp_path, of_run, of_node, tries
):
    policy = {} if of_node is None else {"death_retries": of_node}
    steps = pipeline([node(nodes.die_running, ["way", "folder", "times"], "made", name="deadly", **policy)])
    with pytest.raises(WorkerLost) as caught:
        run(
            steps,
            {"way": "SIGKILL", "folder": str(tmp_path), "times": 99},
            executor="process_pool",
            workers=1,
            death_retries=of_run,
        )
    assert caught.value.attempts == nodes.counted(tmp_path, "tried") == tries


@pytest.mark.parametrize("way", nodes.WAYS)
def test_amid_a_thousand_tiny_nodes_the_one_that_kills_is_blamed_and_all_others_run_once(tmp_path, way):
    keeps = nodes.Keeps()
    steps = pipeline(
        [
            *(node(nodes.add_one, "x", f"o{at}", name=f"n{at:04}") for at in range(1000)),
            node(nodes.die_running, ["way", "folder", "times"], "made", name="n0500_deadly"),
        ]
    )
    given = {"x": 1, "way": way, "folder": str(tmp_path), "times": 99}
    with pytest.raises(WorkerLost) as caught:
        run(steps, given, executor="process_pool", workers=2, on_failure="continue", hooks=[keeps])
    assert (caught.value.node, caught.value.attempts, caught.value.others) == ("n0500_deadly", 2, ())
    assert nodes.counted(tmp_path, "tried") == 2
    done = [name for name, report, _ in keeps.done if report.state.name == "DONE"]
    assert sorted(done) == [f"n{at:04}" for at in range(1000)]
    assert [name for name, _ in keeps.lost] == ["n0500_deadly"] * 2


def chain(length, deadly, way, folder, times):
    """Return a chain of additions with a node in the middle that kills its worker."""
    steps = [node(nodes.add_one, "x" if at == 0 else f"v{at - 1}", f"v{at}", name=f"n{at}") for at in range(length)]
    steps[deadly] = node(partial(nodes.chain_link, way, folder, times), f"v{deadly - 1}", f"v{deadly}", name="deadly")
    return pipeline(steps)


@pytest.mark.parametrize("way", nodes.WAYS)
@pytest.mark.parametrize("length", [3, 60])
def test_in_the_middle_of_a_chain_the_one_that_kills_is_blamed(pool, tmp_path, length, way):
    deadly = length // 2
    with pytest.raises(WorkerLost) as caught:
        pool.run(chain(length, deadly, way, str(tmp_path), 99), {"x": 0})
    assert (caught.value.node, caught.value.attempts) == ("deadly", 2)
    assert nodes.counted(tmp_path, "tried") == 2


@pytest.mark.parametrize("length", [3, 60])
def test_a_chain_whose_worker_dies_goes_on_to_the_right_value(pool, tmp_path, length):
    for deadly in {1, length // 2, length - 1}:
        folder = tmp_path / str(deadly)
        folder.mkdir()
        with pool.run(chain(length, deadly, "SIGKILL", str(folder), 1), {"x": 0}) as result:
            assert dict(result) == {f"v{length - 1}": length}


def test_idle_workers_that_are_killed_amid_a_run_are_replaced_and_nobody_is_blamed(tmp_path):
    keeps = nodes.Keeps()
    steps = pipeline(
        [
            *(node(nodes.here, "folder", f"pid{at}", name=f"meet{at}") for at in range(2)),
            node(nodes.kill_other, ["pid0", "pid1"], "killer", name="kill"),
            *(node(nodes.here, ["folder", "killer"], f"later{at}", name=f"later{at}") for at in range(4)),
        ]
    )
    with Runner("process_pool", workers=2, hooks=[keeps], death_retries=0) as runner:
        pids = set(runner.run(steps, {"folder": str(tmp_path)}).values())
        dead = [path.name for path in tmp_path.iterdir() if not is_alive(path.name)]
    assert len(dead) == 1
    assert int(dead[0]) not in pids
    assert all(error is None for _, _, error in keeps.done)


def test_a_worker_that_dies_just_after_its_result_costs_nothing():
    killer = nodes.KillsAfterResult(6)
    steps = pipeline(
        [
            *(node(nodes.noted_pid, "x", f"a{at}", name=f"a{at}") for at in range(6)),
            node(nodes.total, [f"a{at}" for at in range(6)], "sum", name="sum"),
        ]
    )
    with run(steps, {"x": 7}, executor="process_pool", workers=2, hooks=[killer], death_retries=6) as result:
        assert result["sum"] == 42
    assert killer.left == 0


def test_a_worker_that_a_node_has_left_doomed_is_survived(pool, tmp_path):
    steps = pipeline(
        [
            node(nodes.die_in_a_thread, ["way", "folder", "times"], "made", name="doom"),
            *(node(nodes.nap, ["soon", "x", "made"], f"o{at}", name=f"n{at}") for at in range(8)),
        ]
    )
    given = {"way": "SIGKILL", "folder": str(tmp_path), "times": 1, "soon": 0.03, "x": 1}
    with pool.run(steps, given) as result:
        assert dict(result) == {f"o{at}": 1 for at in range(8)}


def test_a_worker_that_dies_on_its_way_out_harms_nobody():
    steps = pipeline([node(nodes.add_one, "x", f"o{at}", name=f"n{at}") for at in range(8)])
    with run(steps, {"x": 1}, executor="process_pool", workers=2, hooks=[nodes.DiesAtTheEnd()]) as result:
        assert dict(result) == {f"o{at}": 2 for at in range(8)}


def test_the_command_ends_with_3_and_names_node_process_signal_and_tries(tmp_path):
    (tmp_path / "flow.py").write_text(
        dedent(
            """
            import ctypes
            from kernel import node, pipeline

            def crash(x):
                ctypes.string_at(0)

            pipeline = pipeline([node(crash, "x", "y", name="crash")])
            datasets = {"x": 1}
            """
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "kernel", "run", "flow.py", "-x", "process_pool"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert " LOST  crash  (worker " in done.stderr
    assert "node 'crash' lost its worker 2 times: process " in done.stderr
    assert "ended by SIGSEGV (signal 11)" in done.stderr


def test_workers_that_end_before_they_can_run_anything_end_the_run_with_their_cause():
    steps = pipeline([node(nodes.same, "x", "a", name="good"), node(nodes.Unready(), "x", "b", name="unready")])
    with pytest.raises(KernelError, match="SIGKILL"):
        run(steps, {"x": 1}, executor="process_pool", workers=2)
