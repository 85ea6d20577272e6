"""A runner that is kept warm: it serves run after run, whatever became of the run before."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from kernel import Runner, hookimpl, node, pipeline
from kernel.errors import ConfigError, HookError, NodeError, ValidationError
from watching import wait_until


def who(_: object) -> int:
    return os.getpid()


def nap(seconds: float) -> float:
    time.sleep(seconds)
    return seconds


def fail(_: object) -> None:
    raise ValueError("on purpose")


class Refuses:
    @hookimpl
    def on_task_done(self, node):
        if node.name == "first":
            raise RuntimeError("enough")


EXECUTORS = ["sequential", "threads", "process_pool"]
ASKING = pipeline([node(who, "x", f"pid{at}", name=f"n{at}") for at in range(4)])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_runs_of_any_shape_follow_each_other(executor):
    wide = pipeline([node(nap, "x", f"y{at}", name=f"n{at}") for at in range(20)])
    with Runner(executor, workers=2) as runner:
        for steps in (ASKING, wide, ASKING, pipeline([node(nap, "x", "y", name="one")]), wide):
            with runner.run(steps, {"x": 0}) as result:
                assert len(result) == len(steps.outputs())


def test_workers_are_kept_between_runs():
    with Runner("process_pool", workers=1) as runner:
        first = set(dict(runner.run(ASKING, {"x": 0})).values())
        second = set(dict(runner.run(ASKING, {"x": 0})).values())
    assert first == second
    assert os.getpid() not in first


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_failed_or_refused_run_does_not_harm_the_next(executor):
    failing = pipeline([node(fail, "x", "y", name="f"), *(node(nap, "x", f"z{at}", name=f"n{at}") for at in range(9))])
    with Runner(executor, workers=2) as runner:
        for _ in range(3):
            with pytest.raises(NodeError, match="on purpose"):
                runner.run(failing, {"x": 0})
            with pytest.raises(ValidationError):
                runner.run(failing, {})
            assert set(runner.run(ASKING, {"x": 0})) == ASKING.outputs()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_listener_that_stops_a_run_in_the_middle_does_not_harm_the_next(executor):
    steps = pipeline([node(nap, "soon", "a", name="first"), node(nap, "late", "b", name="second")])
    with Runner(executor, workers=2, hooks=[Refuses()]) as runner:
        for _ in range(2):
            with pytest.raises(HookError, match="enough"):
                runner.run(steps, {"soon": 0.0, "late": 0.3})
            with runner.run(ASKING, {"x": 0}) as result:
                assert set(result) == ASKING.outputs()


@pytest.mark.parametrize("executor", ["sequential", "threads", "process_pool"])
def test_a_runner_does_one_run_at_a_time(executor):
    flow = pipeline([node(len, "text", "size")])
    with Runner(executor, workers=1) as runner:

        class Again:
            refused = None

            @hookimpl
            def on_task_submitted(self):
                with pytest.raises(ConfigError, match="in another run") as caught:
                    runner.run(flow, {"text": "abc"})
                self.refused = caught.value

        again = Again()
        runner._given_hooks = (again,)
        assert runner.run(flow, {"text": "abc"})["size"] == 3
        assert again.refused
        runner._given_hooks = ()
        assert runner.run(flow, {"text": "abc"})["size"] == 3


def wait_for_the_others(folder, number):
    """Return at once; but where it is told to, the first one waits until all others have run."""
    if not Path(folder, "wait").exists():
        return number
    if number == 0:
        wait_until(lambda: len(list(Path(folder).glob("ran-*"))) == OTHERS, "the other nodes")
    else:
        Path(folder, f"ran-{number}").touch()
    return number


OTHERS = 30


def test_a_function_that_was_tiny_in_the_run_before_and_is_not_now_holds_nobody_up(tmp_path):
    flow = pipeline(
        [node(wait_for_the_others, ["folder", f"i{at}"], f"o{at}", name=f"n{at}") for at in range(OTHERS + 1)]
    )
    values = {"folder": str(tmp_path), **{f"i{at}": at for at in range(OTHERS + 1)}}
    with Runner(executor="process_pool", workers=2) as runner:
        for _ in range(3):
            runner.run(flow, values).close()
        (tmp_path / "wait").touch()
        assert sum(runner.run(flow, values).values()) == sum(range(OTHERS + 1))


def nap_if_told(folder, *values):
    if os.access(f"{folder}/slow", os.F_OK):  # quicker to ask than by a Path
        time.sleep(0.03)
    return sum(values) + 1


def test_what_has_most_to_follow_does_not_wait_behind_nodes_that_were_tiny_in_the_run_before(tmp_path):
    leaves = [node(nap_if_told, "folder", f"o{at}", name=f"n{at}") for at in range(60)]
    path = [node(nap_if_told, ["folder", f"p{at}"], f"p{at + 1}", name=f"path{at}") for at in range(1, 6)]
    flow = pipeline([*leaves, node(nap_if_told, ["folder", "o0", "o1"], "p1", name="join"), *path])
    with Runner(executor="process_pool", workers=2) as runner:
        for _ in range(3):
            runner.run(flow, {"folder": str(tmp_path)}).close()
        (tmp_path / "slow").touch()
        result = runner.run(flow, {"folder": str(tmp_path)})
        assert result["p6"] == 8
    order = [task.node for task in sorted(result.report.tasks, key=lambda task: task.start)]
    assert order.index("join") < len(leaves) / 2
