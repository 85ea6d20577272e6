"""What the pool does when a worker, or whoever makes workers, is lost: it ends, and blames the right one."""

from __future__ import annotations

import os
import signal
import textwrap
from functools import partial

import pytest

import pool_faults
from kernel import Runner, node, pipeline, run
from kernel.errors import WorkerLost

pytestmark = pytest.mark.timeout(60)


def test_nothing_runs_twice_where_deaths_are_not_to_be_repeated(tmp_path):
    """Tiny nodes are reported some at a time, so a death takes results with it of nodes that had run."""
    names = [f"{'x' if at % 97 == 96 else 'n'}{at}" for at in range(600)]
    steps = pipeline(
        [
            node(pool_faults.leave_a_line, ["folder", f"w{name}"], f"o{name}", name=name, death_retries=0)
            for name in names
        ]
    )
    values = {"folder": str(tmp_path), **{f"w{name}": name for name in names}}
    with pytest.raises(WorkerLost):
        run(steps, values, executor="process_pool", workers=2, on_failure="continue")
    lines = (tmp_path / "lines").read_text().splitlines()
    assert len(lines) == len(set(lines)) == len(names)


def test_a_node_whose_worker_dies_while_reporting_is_blamed_and_not_run_for_ever(tmp_path):
    steps = pipeline([node(pool_faults.die_while_reporting, "folder", "a", name="deadly")])
    with pytest.raises(WorkerLost) as caught:
        run(steps, {"folder": str(tmp_path)}, executor="process_pool", workers=1)
    assert (caught.value.node, caught.value.attempts) == ("deadly", 2)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_node_that_ends_after_its_limit_all_the_same_does_not_hold_up_the_run():
    steps = pipeline(
        [
            node(pool_faults.outlive_its_limit, "x", "a", name="late", timeout=0.5),
            node(pool_faults.one_more, "a", "b", name="next"),
        ]
    )
    assert run(steps, {"x": 0}, executor="process_pool", workers=1)["b"] == 2


def test_a_time_limit_does_not_count_the_imports_of_a_worker(tmp_path, monkeypatch):
    (tmp_path / "slow_to_import.py").write_text(
        textwrap.dedent(
            """
            import os, time

            if os.environ.get("IS_RUNNER") != str(os.getpid()):
                time.sleep(2.5)

            def quick(x):
                return x
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("IS_RUNNER", str(os.getpid()))
    import slow_to_import

    steps = pipeline([node(slow_to_import.quick, "x", "y", timeout=2.0)])
    assert run(steps, {"x": 3}, executor="process_pool", workers=1, start_method="spawn")["y"] == 3


def test_deaths_of_others_do_not_count_as_a_nodes_own(tmp_path):
    names = [*(f"w{at}" for at in range(40)), *(f"x{at}" for at in range(20)), *(f"y{at}" for at in range(40))]
    steps = pipeline([node(partial(pool_faults.die_once, name), ["folder", "x"], name, name=name) for name in names])
    result = run(steps, {"folder": str(tmp_path), "x": 0}, executor="process_pool", workers=2)
    assert dict(result) == {name: name for name in names}


@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_idle_workers_that_are_killed_are_replaced_in_the_next_run(method):
    steps = pipeline([node(pool_faults.process, "seconds", f"p{at}", name=f"n{at}") for at in range(8)])
    with Runner("process_pool", workers=4, start_method=method) as runner:
        before = set(dict(runner.run(steps, {"seconds": 0.1})).values())
        for pid in before:
            os.kill(pid, signal.SIGKILL)
        after = set(dict(runner.run(steps, {"seconds": 0.1})).values())
    assert before.isdisjoint(after)
