"""What comes of a node that fails, of one whose worker dies, and of a run that is interrupted."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent

import pytest

import parallel_nodes as nodes
from kernel import ParallelRunner, hookimpl, node, pipeline, run
from kernel.errors import DatasetError, HookError, Interrupted, NodeError, WorkerLost

EXECUTORS = ["sequential", "threads", "process_pool"]
METHODS = [
    "spawn",
    "forkserver",
    pytest.param("fork", marks=pytest.mark.timeout(120, method="signal")),
]


@pytest.fixture(scope="module")
def pool():
    with ParallelRunner(2) as runner:
        yield runner


def failure_of(flow, datasets=None, executor="process_pool", **options):
    with pytest.raises(NodeError) as caught:
        run(flow, datasets, executor=executor, **options)
    return caught.value


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_error_names_the_node_and_has_the_original_as_its_cause(executor):
    flow = pipeline([node(nodes.same, "x", "y", name="good"), node(nodes.boom, "y", "z", name="bad")])
    error = failure_of(flow, {"x": 1}, executor)
    assert error.node == "bad"
    assert type(error.cause) is ValueError
    assert error.__cause__ is error.cause
    assert str(error) == "node 'bad' failed: ValueError: boom"
    assert error.resume == ("good",)
    assert 'raise ValueError("boom")' in error.traceback
    assert "turn.py" not in error.traceback, "the kernel's own frames are left out"
    assert error.others == ()


@pytest.mark.parametrize(
    ("function", "kind", "text"),
    [
        (nodes.raise_needs_two, "parallel_nodes.NeedsTwo", "this and that"),
        (nodes.raise_lock, "parallel_nodes.HoldsALock", "with a lock inside"),
        (nodes.raise_no_text, "parallel_nodes.NoText", "could not be made"),
        (nodes.raise_exit, "SystemExit", "7"),
    ],
)
@pytest.mark.parametrize("executor", EXECUTORS)
def test_type_text_and_traceback_cross_whatever_is_raised(executor, function, kind, text):
    error = failure_of(pipeline([node(function, "x", "y", name="bad")]), {"x": 1}, executor)
    assert error.node == "bad"
    assert error.error_type == kind
    assert text in error.error_text
    assert f"in {function.__name__}" in error.traceback
    assert not isinstance(error, WorkerLost)


def six_and_a_failure(folder):
    """A node that fails at once and six others that only leave a mark, all ready from the start."""
    flow = pipeline(
        [
            node(nodes.boom, "x", "never", name="a_fails"),
            *(node(nodes.touch, f"path_{n}", f"out_{n}", name=f"b_{n}") for n in range(6)),
            node(nodes.same, "out_0", "after_0", name="c_child"),
            node(nodes.same, "never", "after_never", name="d_skipped"),
        ]
    )
    return flow, {"x": 1, **{f"path_{n}": str(folder / str(n)) for n in range(6)}}


@pytest.mark.parametrize("executor", EXECUTORS)
def test_after_a_failure_stop_starts_nothing_more_drain_what_was_ready_and_continue_all_else(tmp_path, executor):
    ran = {}
    for policy in ("stop", "drain", "continue"):
        folder = tmp_path / policy
        folder.mkdir()
        flow, values = six_and_a_failure(folder)
        watch = nodes.Watches()
        error = failure_of(flow, values, executor, workers=1, on_failure=policy, hooks=[watch])
        assert error.node == "a_fails"
        ran[policy] = {name for name, _, _ in watch.done} - {"a_fails"}
        assert {path.name for path in folder.iterdir()} == {name[2:] for name in ran[policy] if name[0] == "b"}
    six = {f"b_{n}" for n in range(6)}
    assert ran == {"stop": set(), "drain": six, "continue": six | {"c_child"}}


def test_on_several_workers_at_most_one_more_node_each_ends_after_a_failure_under_stop(tmp_path):
    flow, values = six_and_a_failure(tmp_path)
    watch = nodes.Watches()
    failure_of(flow, values, workers=2, on_failure="stop", hooks=[watch])
    at = [name for name, _, _ in watch.done].index("a_fails")
    assert len(watch.done) - at - 1 <= 2


def test_under_continue_the_first_error_is_raised_with_the_others_and_what_was_skipped():
    flow = pipeline(
        [
            node(nodes.boom, "x", "a", name="fails_1"),
            node(nodes.boom, "x", "b", name="fails_2"),
            node(nodes.same, "b", "c", name="skipped"),
            node(nodes.same, "x", "d", name="good"),
        ]
    )
    watch = nodes.Watches()
    error = failure_of(flow, {"x": 1}, workers=1, on_failure="continue", hooks=[watch])
    assert [error.node, *(other.node for other in error.others)] == ["fails_2", "fails_1"], "the longer way first"
    assert {name for name, report, _ in watch.done if report.state.name == "DONE"} == {"good"}


def test_two_failing_nodes_on_one_worker_are_both_told_to_listeners_under_drain(tmp_path):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.boom, "x", name, name=f"fails_{name}") for name in ("a", "b")])
    failure_of(flow, {"x": 1}, workers=1, on_failure="drain", hooks=[nodes.Recorder(log)])
    assert [each["node"] for each in nodes.records(log) if each["hook"] == "on_node_error"] == ["fails_a", "fails_b"]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("where", ["load", "save"])
def test_a_load_or_save_that_fails_is_the_nodes_error_but_not_told_as_its_functions(tmp_path, executor, where):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.same, "in", "out", name="move")])
    datasets = {
        "in": nodes.Broken(where) if where == "load" else 1,
        "out": nodes.Broken(where) if where == "save" else nodes.FileDataset(tmp_path / "out"),
    }
    error = failure_of(flow, datasets, executor, hooks=[nodes.Recorder(log)])
    assert error.node == "move"
    assert isinstance(error.cause, DatasetError)
    assert ("in:" if where == "load" else "out:") in str(error)
    assert "OSError" in str(error)
    assert "on_node_error" not in [each["hook"] for each in nodes.records(log)]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("hook", ["before_dataset_loaded", "before_node_run", "after_node_run", "after_dataset_saved"])
def test_a_listener_that_fails_fails_the_node_and_is_named(tmp_path, executor, hook):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.same, "x", "y", name="copy")])
    error = failure_of(flow, {"x": 1}, executor, hooks=[nodes.Recorder(log), nodes.Breaks(hook)])
    assert error.node == "copy"
    assert isinstance(error.cause, HookError)
    assert (error.cause.hook, error.cause.listener) == (hook, "Breaks")
    assert "on_node_error" not in [each["hook"] for each in nodes.records(log)]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_listener_to_errors_that_fails_itself_does_not_hide_the_nodes_error(executor):
    flow = pipeline([node(nodes.boom, "x", "y", name="bad")])
    error = failure_of(flow, {"x": 1}, executor, hooks=[nodes.Breaks("on_node_error")])
    assert type(error.cause) is ValueError
    assert "Breaks" in error.traceback


def gives_none(x):
    return None


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("declared", [False, True])
def test_none_for_a_declared_output_is_an_error_that_names_the_dataset(tmp_path, executor, declared):
    flow = pipeline([node(gives_none, "x", "out", name="nothing")])
    datasets = {"x": 1, **({"out": nodes.FileDataset(tmp_path / "out")} if declared else {})}
    error = failure_of(flow, datasets, executor)
    assert isinstance(error.cause, DatasetError)
    assert "out:" in str(error)
    assert "None" in str(error)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_that_is_killed_is_named_with_node_signal_and_probable_cause(method):
    flow = pipeline([node(nodes.same, "x", "y", name="good"), node(nodes.die, "y", "z", name="deadly")])
    watch = nodes.Watches()
    error = failure_of(flow, {"x": 1}, start_method=method, death_retries=0, hooks=[watch])
    assert isinstance(error, WorkerLost)
    assert error.node == "deadly"
    assert error.attempts == 1
    assert error.pid > 0
    for part in ("'deadly'", "SIGKILL", "signal 9", "out of memory", "death_retries"):
        assert part in str(error)
    assert error.resume == ("good",)
    assert [(name, type(loss)) for _, name, loss in watch.lost] == [("deadly", WorkerLost)]


def leave(*values):
    os._exit(3)


def test_a_worker_that_ends_itself_is_told_by_its_exit_code():
    error = failure_of(pipeline([node(leave, "x", "y", name="leaves")]), {"x": 1}, death_retries=0)
    assert "exit code 3" in str(error)


@pytest.mark.parametrize("method", METHODS)
def test_a_node_whose_worker_died_runs_again_on_a_new_one(tmp_path, method):
    flow = pipeline(
        [
            node(nodes.die_once, "path", "pid", name="dies_once"),
            node(nodes.same, "pid", "again", name="next"),
        ]
    )
    watch = nodes.Watches()
    result = ParallelRunner(1, start_method=method, hooks=[watch]).run(flow, {"path": str(tmp_path / "died")})
    assert isinstance(result["again"], int)
    assert watch.submitted == [("dies_once", 1), ("next", 1), ("dies_once", 2)], "each attempt is told of once"
    assert [name for _, name, _ in watch.lost] == ["dies_once"]


def test_a_node_dies_as_often_as_it_may_and_no_more():
    flow = pipeline([node(nodes.die, "x", "y", name="deadly", death_retries=2)])
    watch = nodes.Watches()
    error = failure_of(flow, {"x": 1}, hooks=[watch])
    assert isinstance(error, WorkerLost)
    assert error.attempts == len(watch.lost) == 3
    assert "3 times" in str(error)


def test_a_listener_may_forbid_the_repeat():
    class Forbids:
        @hookimpl
        def retry_lost_node(self, node, attempt, error):
            return False

    error = failure_of(pipeline([node(nodes.die, "x", "y", name="deadly")]), {"x": 1}, hooks=[Forbids()])
    assert error.attempts == 1


def test_others_work_is_not_lost_with_a_worker_that_dies(tmp_path):
    flow = pipeline(
        [
            node(nodes.die, "x", "never", name="a_deadly"),
            *(node(nodes.touch, f"path_{n}", f"out_{n}", name=f"b_{n}") for n in range(6)),
        ]
    )
    values = {"x": 1, **{f"path_{n}": str(tmp_path / str(n)) for n in range(6)}}
    error = failure_of(flow, values, workers=2, on_failure="continue")
    assert (error.node, error.attempts) == ("a_deadly", 2)
    assert len(list(tmp_path.iterdir())) == 6
    assert error.others == ()


def test_exceptions_are_not_repeated_unless_the_node_asks(tmp_path):
    log = tmp_path / "log"
    for retries, times in ((0, 1), (2, 3)):
        log.unlink(missing_ok=True)
        flow = pipeline([node(nodes.boom, "x", "y", name="bad", retries=retries)])
        failure_of(flow, {"x": 1}, hooks=[nodes.Recorder(log)])
        assert [each["hook"] for each in nodes.records(log)].count("on_node_error") == times


def never_ends(path):
    Path(path).touch()
    threading.Event().wait(600)


def test_a_node_over_its_time_limit_is_stopped_and_named():
    flow = pipeline([node(never_ends, "path", "y", name="endless", timeout=0.3)])
    error = failure_of(flow, {"path": os.devnull})
    assert error.node == "endless"
    assert isinstance(error.cause, TimeoutError)
    assert "0.3 s" in str(error)


def test_a_warm_runner_goes_on_after_failures_and_deaths(pool):
    flow = pipeline([node(nodes.same, "x", "y", name="copy")])
    for bad, kind in ((nodes.boom, NodeError), (nodes.die, WorkerLost), (nodes.raise_exit, NodeError)):
        with pytest.raises(kind):
            pool.run(pipeline([node(bad, "x", "y", name="bad")]), {"x": 1})
        assert pool.run(flow, {"x": 2})["y"] == 2


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.timeout(120, method="thread")
def test_an_interrupt_ends_the_run_names_where_to_go_on_and_leaves_no_process(tmp_path, executor):
    script = tmp_path / "script.py"
    script.write_text(
        dedent(
            f"""
            import logging, os, signal, sys, threading, time
            from pathlib import Path
            sys.path.insert(0, {str(Path(__file__).parent)!r})
            import parallel_nodes as nodes
            from kernel import node, pipeline, run
            from kernel.errors import Interrupted

            def wait(path, x):
                Path(path).touch()
                time.sleep(600)

            def interrupt():
                nodes.wait_until(Path("running").exists, "the node")
                os.kill(os.getpid(), signal.SIGINT)

            signal.signal(signal.SIGINT, signal.default_int_handler)  # a session in the background ignores it
            logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
            flow = pipeline([node(nodes.same, "x", "y", name="good"), node(wait, ["path", "y"], "z", name="waits")])
            datasets = {{"x": 1, "path": "running", "y": nodes.FileDataset("y")}}
            threading.Thread(target=interrupt).start()
            try:
                run(flow, datasets, executor={executor!r}, grace_s=1.0)
            except Interrupted as error:
                print("interrupted", error.signal, error.resume)
            except KeyboardInterrupt:
                print("something else")
            if {executor!r} == "process_pool":
                print(nodes.children())
            sys.stdout.flush()
            os._exit(0)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=100, check=True, cwd=tmp_path
    )
    lines = done.stdout.splitlines()
    assert f"interrupted {int(signal.SIGINT)} ('waits',)" in lines, done.stdout + done.stderr
    assert any("--from-nodes 'waits'" in line for line in lines)
    if executor == "process_pool":
        assert lines[-1] == "[]"


def test_an_interrupt_is_no_error_that_handlers_of_errors_catch():
    assert issubclass(Interrupted, KeyboardInterrupt)
    assert not issubclass(Interrupted, Exception)


def test_logs_of_a_node_that_fails_come_before_its_error(caplog):
    flow = pipeline([node(last_words, "x", "y", name="bad")])
    with caplog.at_level(logging.INFO):
        failure_of(flow, {"x": 1}, death_retries=0)
    assert [record.getMessage() for record in caplog.records if record.name == "dying"] == ["last words"]


def last_words(x):
    logging.getLogger("dying").info("last words")
    os.kill(os.getpid(), signal.SIGKILL)


def fails_below_zero(number):
    if number < 0:
        raise ValueError("below zero")
    return number


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("fails", [3, 200])
def test_nothing_that_was_sent_ahead_to_the_same_worker_runs_after_a_failure_under_stop(executor, fails):
    flow = pipeline([node(fails_below_zero, f"in_{n}", f"out_{n}", name=f"n_{n:03}") for n in range(400)])
    values = {f"in_{n}": -1 if n == fails else n for n in range(400)}
    watch = nodes.Watches()
    failure_of(flow, values, executor, workers=1, hooks=[watch])
    assert [name for name, _, _ in watch.done] == [f"n_{n:03}" for n in range(fails + 1)]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_what_a_failing_worker_gives_back_runs_all_the_same_under_continue(executor):
    flow = pipeline([node(fails_below_zero, f"in_{n}", f"out_{n}", name=f"n_{n:03}") for n in range(400)])
    values = {f"in_{n}": -1 if n % 50 == 7 else n for n in range(400)}
    watch = nodes.Watches()
    error = failure_of(flow, values, executor, workers=2, on_failure="continue", hooks=[watch])
    assert len(error.others) == 7
    assert len(watch.done) == len({name for name, _, _ in watch.done}) == 400
