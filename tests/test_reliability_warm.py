"""A runner that is kept warm goes on, run after run, when its workers are late, lost or left in the middle."""

from __future__ import annotations

import pytest

import fault_nodes as nodes
from kernel import Runner, node, pipeline
from kernel.errors import NodeError

pytestmark = pytest.mark.timeout(60)

ONE = pipeline([node(nodes.add_one, "x", "y", name="one")])


@pytest.mark.parametrize("breaks", [False, True], ids=["late", "late and broken"])
@pytest.mark.parametrize("catalog", ["shared_memory", "memory"])
def test_a_worker_that_takes_up_a_run_when_it_is_over_is_there_for_the_next(tmp_path, catalog, breaks):
    """One of two workers is late each time, or cannot even take it up: the other has run all by then."""
    with Runner("process_pool", catalog, workers=2) as runner:
        runner.run(ONE, {"x": 1})
        for at in range(6):
            folder = tmp_path / str(at)
            late = nodes.Late(str(folder), breaks)
            steps = [node(late, "x", f"a{n}", name=f"a{n}") for n in range(4)]
            steps += [node(late, f"a{n}", f"b{n}", name=f"b{n}") for n in range(4)]  # chains are given away whole
            with runner.run(pipeline(steps), {"x": at}) as result:
                assert dict(result) == {f"b{n}": at for n in range(4)}
            (folder / "over").touch()
            for again in range(4):
                assert runner.run(ONE, {"x": again})["y"] == again + 1


def test_runs_that_succeed_fail_and_lose_workers_follow_each_other(tmp_path):
    wide = pipeline([node(nodes.add_one, "x", f"o{at}", name=f"n{at}") for at in range(50)])
    deadly = pipeline([node(nodes.kill_self, "x", "y", name="deadly"), *wide.nodes])
    failing = pipeline([node(nodes.needs_two, "x", "y", name="failing"), *wide.nodes])
    with Runner("process_pool", workers=2) as runner:
        for at in range(12):
            for steps, name in ((failing, "failing"), (deadly, "deadly")):
                with pytest.raises(NodeError) as caught:
                    runner.run(steps, {"x": at})
                assert caught.value.node == name
            for steps in (ONE, wide):
                with runner.run(steps, {"x": at}) as result:
                    assert set(dict(result).values()) == {at + 1}
