"""What the parallel runner refuses before anything runs, and what it does not refuse."""

from __future__ import annotations

import subprocess
import sys
import threading
from textwrap import dedent

import pytest

import parallel_nodes as nodes
from kernel import MemoryDataset, ParallelRunner, node, pipeline, run
from kernel.errors import ValidationError


@pytest.fixture(scope="module")
def pool():
    with ParallelRunner(2) as runner:
        yield runner


def problems_of(flow, datasets=None, **options):
    with pytest.raises(ValidationError) as caught:
        ParallelRunner(2, **options).run(flow, datasets)
    return caught.value.problems


def test_all_that_is_wrong_is_one_error_and_nothing_has_run(tmp_path):
    mark = tmp_path / "ran"
    flow = pipeline(
        [
            node(nodes.touch, "path", "z", name="would_run"),
            node(nodes.Callable(), "a", "b", name="holds_a_lock"),
            node(nodes.Callable(), "a", "c", name="holds_another"),
            node(nodes.same, "nowhere", "d", name="reads_nothing"),
            node(nodes.same, "single", "e", name="reads_single"),
            node(nodes.same, "locked", "f", name="reads_locked"),
            node(nodes.same, "value", "g", name="reads_value"),
            node(nodes.chunks_of, "count", "h", name="makes_chunks"),
            node(nodes.same, "empty", "i", name="reads_empty"),
        ]
    )
    datasets = {
        "path": str(mark),
        "a": 1,
        "single": nodes.SingleProcess(tmp_path / "single"),
        "locked": nodes.LockedDataset(tmp_path / "locked"),
        "value": threading.Lock(),
        "count": 1,
        "empty": MemoryDataset(),
    }
    problems = problems_of(flow, datasets, is_async=True)
    for named in (
        "holds_a_lock",
        "holds_another",
        "'nowhere'",
        "'single'",
        "'locked'",
        "value",
        "makes_chunks",
        "'empty'",
    ):
        assert sum(named in problem for problem in problems) == 1, named
    assert len(problems) == 8
    assert "'nowhere'" in problems[0] or "'empty'" in problems[0], "what is missing comes first"
    assert not mark.exists()
    assert nodes.children() == []


def test_a_function_that_cannot_be_sent_is_named_with_its_cause_and_the_way_out():
    (problem,) = problems_of(pipeline([node(nodes.Callable(), "a", "b", name="holds_a_lock")]), {"a": 1})
    for part in ("'holds_a_lock'", "TypeError", "lock", "'threads'"):
        assert part in problem


def test_a_function_that_cannot_be_sent_runs_in_threads():
    flow = pipeline([node(nodes.Callable(), "a", "b", name="holds_a_lock")])
    assert run(flow, {"a": 1}, executor="threads")["b"] == 1


def test_lambdas_closures_and_nested_functions_run_on_processes(pool):
    offset = 10

    def nested(x):
        return x + offset

    def badly_decorated(function):
        def wrapper(x):
            return function(x)

        return wrapper

    flow = pipeline(
        [
            node(lambda x: x + 1, "x", "lambda", name="lambda"),
            node(nested, "x", "closure", name="closure"),
            node(badly_decorated(nested), "x", "wrapped", name="wrapped"),
        ]
    )
    assert dict(pool.run(flow, {"x": 1})) == {"lambda": 2, "closure": 11, "wrapped": 11}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_functions_classes_and_listeners_of_the_main_script_run_on_processes(tmp_path, method):
    script = tmp_path / "script.py"
    script.write_text(
        dedent(
            f"""
            import os
            from kernel import ParallelRunner, hookimpl, node, note, pipeline

            class Point:
                def __init__(self, x):
                    self.x = x

            class Oops(Exception):
                pass

            def make(x):
                return Point(x)

            def read(point):
                if point.x < 0:
                    raise Oops("negative")
                return type(point).__name__, point.x, os.getpid()

            class Listener:
                @hookimpl
                def after_node_run(self, node):
                    note("heard", node.name)

            if __name__ == "__main__":
                flow = pipeline([node(make, "x", "point", name="make"), node(read, "point", "told", name="read")])
                runner = ParallelRunner(2, start_method={method!r}, hooks=[Listener()])
                result = runner.run(flow, {{"x": 4}})
                name, x, pid = result["told"]
                heard = sorted(each.notes["heard"] for each in result.report.tasks)
                print(name, x, pid != os.getpid(), *heard)
                try:
                    runner.run(flow, {{"x": -1}})
                except Exception as error:
                    print(type(error.cause) is Oops, error.cause)
            """
        )
    )
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=120, check=True, cwd=tmp_path
    )
    assert done.stdout.splitlines() == ["Point 4 True make read", "True negative"]


def test_a_dataset_of_one_process_is_refused_for_processes_and_taken_by_the_others(tmp_path):
    flow = pipeline([node(nodes.same, "x", "out", name="write"), node(nodes.add, ["out", "x"], "sum", name="read")])
    datasets = {"x": 1, "out": nodes.SingleProcess(tmp_path / "out")}
    (problem,) = problems_of(flow, datasets)
    for part in ("'out'", "SingleProcess", "one process", "'threads'"):
        assert part in problem
    for executor in ("threads", "sequential"):
        assert run(flow, datasets, executor=executor)["sum"] == 2


def test_a_dataset_that_cannot_be_sent_is_refused_with_its_cause(tmp_path):
    flow = pipeline([node(nodes.same, "x", "out", name="write")])
    (problem,) = problems_of(flow, {"x": 1, "out": nodes.LockedDataset(tmp_path / "out")})
    for part in ("'out'", "lock", "configuration", "'threads'"):
        assert part in problem


def test_only_datasets_that_the_pipeline_uses_are_looked_at(tmp_path, pool):
    flow = pipeline([node(nodes.same, "x", "y", name="copy")])
    others = {
        "locked": nodes.LockedDataset(tmp_path / "locked"),
        "single": nodes.SingleProcess(tmp_path / "single"),
        "value": threading.Lock(),
    }
    assert pool.run(flow, {"x": 1, **others})["y"] == 1


def test_generators_are_refused_for_asynchronous_runs_all_at_once():
    flow = pipeline(
        [node(nodes.chunks_of, "n", "a", name="first"), node(nodes.pairs_of, "n", ["b", "c"], name="second")]
    )
    problems = problems_of(flow, {"n": 2}, is_async=True)
    assert [any(name in problem for problem in problems) for name in ("'first'", "'second'")] == [True, True]
    assert len(problems) == 2
    assert all("generator" in problem for problem in problems)


@pytest.mark.parametrize("executor", ["sequential", "threads"])
def test_generators_are_refused_for_asynchronous_runs_on_every_executor(executor):
    flow = pipeline([node(nodes.chunks_of, "n", "a", name="first")])
    with pytest.raises(ValidationError, match="generator"):
        run(flow, {"n": 2}, executor=executor, is_async=True)


def test_a_listener_that_cannot_be_sent_is_refused_before_anything_runs():
    class Holds(nodes.Recorder):
        def __init__(self):
            super().__init__("/dev/null")
            self.lock = threading.Lock()

    flow = pipeline([node(nodes.same, "x", "y", name="copy")])
    (problem,) = problems_of(flow, {"x": 1}, hooks=[Holds()])
    for part in ("Holds", "cannot be sent to workers", "lock"):
        assert part in problem


def test_what_a_node_asks_for_and_the_executor_does_not_offer_is_refused():
    flow = pipeline(
        [
            node(nodes.same, "x", "y", name="slow", timeout=5.0),
            node(nodes.same, "x", "z", name="big", resources={"gpu": 1}),
        ]
    )
    with pytest.raises(ValidationError) as caught:
        run(flow, {"x": 1}, executor="threads")
    assert [name in str(caught.value) for name in ("'slow' has a timeout", "'big' asks for 'resources'")] == [True] * 2
