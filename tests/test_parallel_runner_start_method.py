"""Which way workers are made, and that it makes no difference to anything else."""

from __future__ import annotations

import logging
import os
import sys
import threading
import warnings

import pytest

import parallel_nodes as nodes
from kernel import ParallelRunner, Runner, node, pipeline
from kernel.errors import ConfigError, NodeError

METHODS = [
    "spawn",
    "forkserver",
    pytest.param("fork", marks=pytest.mark.timeout(120, method="signal")),
]
LOOK = pipeline([node(nodes.parent_and_command, "x", "seen", name="look")])


def method_of(runner):
    """Tell from a worker's parent and command line how it was made."""
    _, command = runner.run(LOOK, {"x": 1})["seen"]
    if "child.main" in command:
        return "spawn"
    return "forkserver" if "server import main" in command else "fork"


@pytest.mark.parametrize("method", METHODS)
def test_the_variable_chooses(monkeypatch, method):
    monkeypatch.setenv("KERNEL_MP_CONTEXT", method)
    assert method_of(ParallelRunner(1)) == method


@pytest.mark.parametrize("method", METHODS)
def test_the_option_outranks_the_variable(monkeypatch, method):
    monkeypatch.setenv("KERNEL_MP_CONTEXT", "spawn" if method == "forkserver" else "forkserver")
    assert method_of(ParallelRunner(1, start_method=method)) == method


@pytest.mark.parametrize("value", [None, ""])
def test_without_the_variable_or_with_an_empty_one_workers_come_from_a_clean_server(monkeypatch, value):
    monkeypatch.delenv("KERNEL_MP_CONTEXT", raising=False)
    if value is not None:
        monkeypatch.setenv("KERNEL_MP_CONTEXT", value)
    assert method_of(ParallelRunner(1)) == "forkserver"


def test_an_unknown_variable_is_warned_about_once_and_ignored(monkeypatch):
    monkeypatch.setenv("KERNEL_MP_CONTEXT", "threads")
    with pytest.warns(RuntimeWarning, match="KERNEL_MP_CONTEXT='threads'.*fork, spawn, forkserver") as caught:
        assert method_of(ParallelRunner(1)) == "forkserver"
    assert len(caught) == 1


@pytest.mark.parametrize("value", ["Spawn", " spawn", "fork,spawn", "1"])
def test_only_the_exact_names_are_methods(monkeypatch, value):
    monkeypatch.setenv("KERNEL_MP_CONTEXT", value)
    with pytest.warns(RuntimeWarning, match="is ignored"):
        ParallelRunner(1).run(LOOK, {"x": 1})


def test_an_unknown_option_is_refused_with_the_good_ones(monkeypatch):
    monkeypatch.setenv("KERNEL_MP_CONTEXT", "spawn")
    with pytest.raises(ConfigError, match=r"'threads'.*fork, spawn, forkserver"):
        ParallelRunner(1, start_method="threads").run(LOOK, {"x": 1})
    assert nodes.children() == []


def test_an_executor_without_start_methods_refuses_the_option():
    with pytest.raises(ConfigError, match="start_method"):
        Runner("threads", start_method="spawn").run(LOOK, {"x": 1})


@pytest.mark.skipif(sys.platform == "win32", reason="tells of another system")
def test_on_a_system_without_processes_of_this_kind_another_executor_is_named(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(ConfigError, match="'threads'"):
        ParallelRunner(1).run(LOOK, {"x": 1})


@pytest.mark.timeout(120, method="signal")
def test_fork_is_refused_while_another_thread_lives_and_the_thread_is_named():
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="polar bear")
    thread.start()
    try:
        with pytest.raises(ConfigError, match=r"fork.*polar bear.*'forkserver' or 'spawn'"):
            ParallelRunner(1, start_method="fork").run(LOOK, {"x": 1})
        assert method_of(ParallelRunner(1, start_method="forkserver")) == "forkserver"
    finally:
        stop.set()
        thread.join()
    assert method_of(ParallelRunner(1, start_method="fork")) == "fork"


@pytest.mark.parametrize("method", METHODS)
def test_there_are_no_processes_but_workers_and_the_one_that_makes_them(method):
    with ParallelRunner(1, start_method=method) as runner:
        parent, _ = runner.run(LOOK, {"x": 1})["seen"]
        (only,) = nodes.children()
        assert parent == only
        assert len(nodes.children(only)) == 1


def told(value):
    logging.getLogger("a.project").info("told of %s", value)
    logging.getLogger("a.project").debug("too low to be heard")
    return value


def warn(value):
    warnings.warn("a user's warning", UserWarning, stacklevel=1)
    return value


@pytest.mark.parametrize("method", METHODS)
def test_hooks_are_heard_in_the_worker_on_every_method(tmp_path, method):
    log = tmp_path / "log"
    flow = pipeline([node(nodes.same, "x", "y", name="copy"), node(nodes.same, "y", "z", name="again")])
    ParallelRunner(1, start_method=method, hooks=[nodes.Recorder(log)]).run(flow, {"x": 1})
    heard = nodes.records(log)
    one_turn = [
        "before_dataset_loaded",
        "after_dataset_loaded",
        "before_node_run",
        "after_node_run",
        "before_dataset_saved",
        "after_dataset_saved",
    ]
    assert [each["hook"] for each in heard] == [
        "before_pipeline_run",
        "after_worker_start",
        *one_turn,
        *one_turn,
        "after_pipeline_run",
        "before_worker_stop",
    ]
    in_runner = {each["hook"] for each in heard if each["pid"] == os.getpid()}
    assert in_runner == {"before_pipeline_run", "after_pipeline_run"}
    assert len({each["pid"] for each in heard}) == 2


@pytest.mark.parametrize("method", METHODS)
def test_logs_of_workers_reach_the_handlers_of_the_runner(caplog, method):
    flow = pipeline([node(told, "x", "y", name="tell")])
    with caplog.at_level(logging.INFO):
        ParallelRunner(1, start_method=method).run(flow, {"x": 42})
    heard = [record for record in caplog.records if record.name == "a.project"]
    assert [(record.getMessage(), record.levelname) for record in heard] == [("told of 42", "INFO")]
    assert heard[0].process != os.getpid()


@pytest.mark.parametrize("method", METHODS)
def test_filters_of_warnings_hold_in_workers(method):
    flow = pipeline([node(warn, "x", "y", name="warn")])
    with pytest.raises(NodeError, match="a user's warning"):
        ParallelRunner(1, start_method=method).run(flow, {"x": 1})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ParallelRunner(1, start_method=method).run(flow, {"x": 1})["y"] == 1


@pytest.mark.parametrize("method", METHODS)
def test_notes_and_reports_come_back_on_every_method(method):
    flow = pipeline([node(nodes.noted, "x", "y", name="noted")])
    (report,) = ParallelRunner(1, start_method=method).run(flow, {"x": 3}).report.tasks
    assert report.notes["value"] == 3
    assert report.notes["pid"] != os.getpid()
    assert report.start <= report.loaded <= report.ran <= report.end
