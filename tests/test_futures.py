"""The executor on pools of futures: which pools it finds, what goes through them, and what happens when one breaks."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

from kernel import Runner, hookimpl, node, pipeline, run
from kernel.errors import ConfigError, Interrupted, WorkerLost
from watching import is_alive, wait_until

pytestmark = pytest.mark.timeout(120)


def where(*_):
    return os.getpid()


def add(*values):
    return sum(values)


def die(_):
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(folder, value):
    mark = Path(folder) / "died"
    if not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return value


def counted(folder, value):
    with (Path(folder) / "ran").open("a") as file:
        file.write("x")
    return value


def ones(size):
    return bytes([1]) * size


class Losses:
    def __init__(self):
        self.heard = []

    @hookimpl
    def on_worker_lost(self, worker, node, error):
        self.heard.append((node and node.name, str(error)))


def futures(factory=None, **options):
    chosen = {} if factory is None else {"factory": factory}
    return {"executor": "futures", "executor_options": {**chosen, **options}}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"factory": "nothing_like_it:Pool"}, "No module named 'nothing_like_it'"),
        ({"factory": "concurrent.futures:NoPool"}, "NoPool"),
        ({"factory": "concurrent.futures"}, "'module:name'"),
        ({"factory": "os:sep"}, "cannot be called"),
        ({"shoe_size": 43}, "shoe_size"),
    ],
)
def test_a_factory_that_is_none_or_does_not_fit_is_refused(options, told):
    with pytest.raises(ConfigError, match=told):
        run(pipeline([node(where, None, "x")]), **futures(**options))


def test_a_factory_may_be_given_as_it_is_and_gets_the_number_of_workers():
    asked = []

    def make(max_workers):
        asked.append(max_workers)
        return ThreadPoolExecutor(max_workers)

    flow = pipeline([node(where, "one", f"o{at}") for at in range(8)])
    result = run(flow, {"one": 1}, workers=3, **futures(make))
    assert asked == [3]
    assert set(result.values()) == {os.getpid()}


def test_options_of_the_command_line_reach_the_factory(tmp_path):
    (tmp_path / "flow.py").write_text(
        dedent(
            """
            import os
            from kernel import node, pipeline as make

            def where(_):
                return os.getpid()

            pipeline = make([node(where, "one", f"o{at}", name=f"n{at}") for at in range(6)])
            datasets = {"one": 1}
            """
        )
    )
    options = [
        "--executor-option",
        "factory=concurrent.futures:ProcessPoolExecutor",
        "--executor-option",
        "max_workers=1",
    ]
    command = [sys.executable, "-m", "kernel", "run", "flow.py", "--executor", "futures", *options]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "6 ok" in done.stdout
    pids = {line.split(" = ")[1] for line in done.stdout.splitlines() if " = " in line}
    assert len(pids) == 1


def test_a_pool_that_breaks_is_made_anew_and_nothing_is_lost(tmp_path):
    losses = Losses()
    flow = pipeline(
        [
            *(node(counted, ["folder", f"i{at}"], f"c{at}", name=f"n{at}") for at in range(20)),
            node(die_once, ["folder", "c3"], "survived", name="fatal"),
            node(add, ["survived", *(f"c{at}" for at in range(20))], "sum", name="sum"),
        ]
    )
    values = {"folder": str(tmp_path), **{f"i{at}": at for at in range(20)}}
    result = run(flow, values, workers=2, hooks=[losses], **futures())
    assert result["sum"] == sum(range(20)) + 3
    assert len(losses.heard) == 1


def test_of_several_that_ran_beside_each_other_the_one_that_kills_is_named(tmp_path):
    flow = pipeline(
        [
            *(node(counted, ["folder", f"i{at}"], f"c{at}", name=f"n{at}") for at in range(30)),
            node(die, "c1", None, name="fatal"),
        ]
    )
    values = {"folder": str(tmp_path), **{f"i{at}": at for at in range(30)}}
    with pytest.raises(WorkerLost) as caught:
        run(flow, values, workers=2, on_failure="continue", **futures())
    assert caught.value.node == "fatal"
    assert not caught.value.others
    assert caught.value.attempts in {2, 3}
    assert "process 0" not in str(caught.value)
    assert len((tmp_path / "ran").read_text()) >= 30


def test_a_runner_keeps_its_pool():
    flow = pipeline([node(where, "one", "pid")])
    with Runner(workers=1, **futures()) as runner:
        first, second = (runner.run(flow, {"one": 1})["pid"] for _ in range(2))
    assert first == second != os.getpid()


def test_large_values_go_from_worker_to_worker_and_to_the_caller():
    flow = pipeline([node(ones, "size", "made"), node(sum, "made", "sum"), node(len, "made", "length")])
    result = run(flow, {"size": 3_000_000}, workers=2, **futures())
    assert dict(result) == {"sum": 3_000_000, "length": 3_000_000}
    flow = pipeline([node(ones, "size", "made")])
    assert run(flow, {"size": 1_000_000}, **futures())["made"] == bytes([1]) * 1_000_000


def test_a_listener_that_cannot_be_built_in_a_worker_stops_the_run_with_its_name():
    class Bad:
        def __reduce__(self):
            return broken, ()

        @hookimpl
        def before_node_run(self, node):
            """Never called."""

    with pytest.raises(Exception, match="could not take up the run"):
        run(pipeline([node(where, "one", "x")]), {"one": 1}, hooks=[Bad()], workers=1, **futures())


def broken():
    raise RuntimeError("not here")


def test_threads_of_a_pool_may_run_nodes_side_by_side():
    meeting.barrier = threading.Barrier(2, timeout=30)
    flow = pipeline([node(meeting, "one", f"o{at}", name=f"n{at}") for at in range(2)])
    result = run(flow, {"one": 1}, workers=2, **futures(ThreadPoolExecutor))
    assert len(set(result.values())) == 2
    assert result.report.workers == 2


def meeting(_):
    meeting.barrier.wait()
    return threading.get_ident()


def die_at(folder, number, *values):
    mark = Path(folder) / f"died-{number}"
    if number % 7 == 3 and not mark.exists():
        mark.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return sum(values) + 1


@pytest.mark.parametrize("seed", range(3))
def test_sums_come_out_right_however_often_the_pool_breaks(tmp_path, seed):
    chance = random.Random(seed)
    nodes, values, expected = [], {"folder": str(tmp_path)}, {}
    for at in range(40):
        read = chance.sample(range(at), min(at, chance.randrange(3))) if chance.random() < 0.6 else [at - 1][: at > 0]
        nodes.append(node(die_at, ["folder", f"i{at}", *(f"v{each}" for each in read)], f"v{at}", name=f"n{at}"))
        values[f"i{at}"] = at
        expected[at] = sum(expected[each] for each in read) + 1
    result = run(pipeline(nodes), values, workers=2, **futures())
    assert {name: result[name] for name in result} == {name: expected[int(name[1:])] for name in result}
    assert len(list(tmp_path.glob("died-*"))) == 6


def slow(value):
    time.sleep(0.15)
    return value + 1


def test_a_long_chain_is_told_of_as_it_goes():
    told = []

    class Watch:
        @hookimpl
        def on_task_done(self, node, report):
            told.append((node.name, time.time(), report.start))

    flow = pipeline([node(slow, f"v{at}", f"v{at + 1}", name=f"n{at}") for at in range(12)])
    result = run(flow, {"v0": 0}, workers=1, hooks=[Watch()], **futures())
    assert result["v12"] == 12
    assert [name for name, _, _ in told] == [f"n{at}" for at in range(12)]
    (_, first_told, _), *_, (_, _, last_started) = told
    assert first_told < last_started


def test_workers_that_died_between_two_runs_cost_nothing():
    flow = pipeline([node(where, "one", f"o{at}", name=f"n{at}", death_retries=1) for at in range(4)])
    with Runner(workers=2, **futures()) as runner:
        first = set(runner.run(flow, {"one": 1}).values())
        for pid in first:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not any(map(is_alive, first)), "the workers are dead")
        result = runner.run(flow, {"one": 1})
    assert not first & set(result.values())
    assert len(result) == 4


def test_a_factory_that_makes_no_pool_is_refused():
    with pytest.raises(ConfigError, match="'builtins:dict' of the executor 'futures' made a dict, which is no pool"):
        run(
            pipeline([node(where, "x", "y")]),
            {"x": 1},
            executor="futures",
            executor_options={"factory": "builtins:dict"},
        )


POOLS = ["concurrent.futures:ProcessPoolExecutor", "loky:ProcessPoolExecutor"]


def write_half_a_result(mark):
    """Announce a result of 1,000 bytes to the pool's own thread, send none of it, and leave a mark."""
    frame = sys._getframe()
    while "result_queue" not in frame.f_locals:
        frame = frame.f_back
    frame.f_locals["result_queue"]._writer._send(struct.pack("!i", 1000))
    Path(mark).touch()


def stay(mark):
    write_half_a_result(mark)
    time.sleep(60)


def die_once_within_a_result(mark):
    if Path(mark).exists():
        return os.getpid()
    write_half_a_result(mark)
    return os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.parametrize("factory", POOLS)
def test_a_run_that_is_interrupted_within_a_result_leaves_no_thread(factory, tmp_path):
    mark, before = tmp_path / "mark", threading.enumerate()

    def interrupt():
        wait_until(mark.exists, "half a result")
        os.kill(os.getpid(), signal.SIGINT)

    interrupter = threading.Thread(target=interrupt)
    interrupter.start()
    with pytest.raises(Interrupted):
        run(pipeline([node(stay, "mark", "x")]), {"mark": str(mark)}, workers=2, grace_s=0.1, **futures(factory))
    interrupter.join()
    wait_until(lambda: set(threading.enumerate()) <= set(before), "the end of the pool's threads")


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("factory", POOLS)
def test_a_worker_that_dies_within_a_result_is_told_of_and_its_node_runs_again(factory, workers, tmp_path):
    losses, mark = Losses(), tmp_path / "mark"
    flow = pipeline([node(die_once_within_a_result, "mark", "x", name="fatal")])
    result = run(flow, {"mark": str(mark)}, workers=workers, hooks=[losses], **futures(factory))
    assert result["x"] != os.getpid()
    assert [name for name, _ in losses.heard] == ["fatal"]


def test_a_file_that_took_the_number_of_a_pipe_that_the_pool_closed_itself_stays_open(tmp_path):
    writers, taken = [], []

    def make(max_workers):
        pool = ProcessPoolExecutor(max_workers)
        writers.append(pool._result_queue._writer)
        return pool

    class Closes:
        """Does what loky's thread does when it closes the pipe, as far as it may have come when this process does."""

        @hookimpl
        def on_task_done(self, node):
            if node.name == "first":
                number = writers[0].fileno()
                with (tmp_path / "file").open("w") as file:
                    writers[0]._close()
                    taken.append(os.dup2(file.fileno(), number))

    flow = pipeline([node(where, "one", "x", name="first"), node(die_once, ["folder", "x"], "y", name="fatal")])
    values = {"one": 1, "folder": str(tmp_path)}
    assert "y" in run(flow, values, workers=2, hooks=[Closes()], **futures(make))
    os.write(*taken, b"still open")
    os.close(*taken)
    assert (tmp_path / "file").read_text() == "still open"


def test_what_a_pool_says_of_the_way_its_process_ended_is_in_the_first_line():
    options = futures("loky:ProcessPoolExecutor")
    with pytest.raises(WorkerLost, match=r"SIGKILL\(-9\)") as caught:
        run(pipeline([node(die, "x", "y", name="deadly")]), {"x": 1}, workers=1, death_retries=0, **options)
    assert "\n" not in str(caught.value)


# -- ends -------------------------------------------------------------------------------------------------------------


def leave_thread(folder):
    threading.Thread(target=threading.Event().wait).start()
    return os.getpid()


def leave_child(folder):
    context = multiprocessing.get_context("fork")
    child = context.Process(target=wait_for_file, args=(Path(folder) / "end",))
    child.start()
    return os.getpid()


def wait_for_file(path):
    wait_until(path.exists, "the end of the test", limit=100)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("factory", ["concurrent.futures:ProcessPoolExecutor", "loky:ProcessPoolExecutor"])
@pytest.mark.parametrize("leave", [leave_thread, leave_child])
def test_what_a_node_has_left_holds_up_no_run_that_is_over(leave, factory, tmp_path, caplog):
    steps = pipeline([node(leave, "folder", "pid")])
    with caplog.at_level("WARNING", "kernel"):
        pid = run(
            steps, {"folder": str(tmp_path)}, executor="futures", workers=1, executor_options={"factory": factory}
        )["pid"]
    (tmp_path / "end").touch()
    wait_until(lambda: not is_alive(pid), "the end of the worker")
    assert "nodes have left threads or children" in caplog.text


def test_workers_that_cannot_start_are_no_nodes_fault(tmp_path):
    script = tmp_path / "without_a_guard.py"
    script.write_text(
        dedent(
            """
            from kernel import node, pipeline, run

            def same(x):
                return x

            run(pipeline([node(same, "x", "y", name="innocent")]), {"x": 1}, executor="futures", workers=1)
            """
        )
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=False)
    last = done.stderr.splitlines()[-1]
    assert last.startswith("kernel.errors.KernelError: the pool's workers end before they run anything")
    assert "its guard, if __name__ == '__main__'" in last
    assert "innocent" not in last
