"""When nodes start and in which order: as soon as their own parents are done, and the same way each time."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import parallel_nodes as nodes
from kernel import ParallelRunner, Pipeline, Runner, node, pipeline, run
from kernel.errors import NodeError, SchedulingError

EXECUTORS = ["threads", "process_pool"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_node_starts_when_its_own_parents_are_done_while_others_of_their_layer_still_run(tmp_path, executor):
    grandchild_ran = str(tmp_path / "ran")
    flow = pipeline(
        [
            node(nodes.touch_then, ["slow_started", "grandchild_ran"], "slow", name="slow"),
            node(nodes.touch, ["quick_ran"], "quick", name="quick"),
            node(nodes.same, "quick", "child", name="child"),
            node(nodes.touch, ["grandchild_ran", "child"], "grandchild", name="grandchild"),
        ]
    )
    values = {
        "slow_started": str(tmp_path / "slow"),
        "quick_ran": str(tmp_path / "quick"),
        "grandchild_ran": grandchild_ran,
    }
    # A barrier between layers would have `slow` wait in vain for a node two layers below.
    result = run(flow, values, executor=executor, workers=2)
    assert result["grandchild"] == grandchild_ran


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_node_waits_for_all_of_its_parents(tmp_path, executor):
    flow = pipeline(
        [
            *(node(nodes.touch, f"path_{n}", f"made_{n}", name=f"make_{n}") for n in range(6)),
            node(all_there, [f"made_{n}" for n in range(6)], "there", name="look"),
        ]
    )
    values = {f"path_{n}": str(tmp_path / str(n)) for n in range(6)}
    assert run(flow, values, executor=executor, workers=3)["there"] is True


def all_there(*paths):
    from pathlib import Path

    return all(Path(path).exists() for path in paths)


def test_nodes_that_become_ready_together_are_handed_out_by_name():
    names = [f"node_{n:02}" for n in range(30)]
    shuffled = random.Random(3).sample(names, len(names))
    flow = pipeline([node(nodes.same, "x", name, name=name) for name in shuffled])
    for executor in ("sequential", "threads", "process_pool"):
        watch = nodes.Watches()
        run(flow, {"x": 1}, executor=executor, workers=2, hooks=[watch])
        assert [name for name, _ in watch.submitted] == names


def test_sequential_runs_follow_the_order_of_the_pipeline():
    flow = pipeline(
        [
            node(nodes.same, "b1", "b2", name="b_second"),
            node(nodes.same, "x", "b1", name="z_first"),
            node(nodes.same, "x", "a1", name="y_first"),
            node(nodes.same, "a1", "a2", name="a_second"),
            node(nodes.nothing, ["a2", "b2"], None, name="last"),
        ]
    )
    watch = nodes.Watches()
    run(flow, {"x": 1}, hooks=[watch])
    assert [name for name, _, _ in watch.done] == [each.name for each in flow.nodes]
    assert [name for name, _, _ in watch.done] == ["y_first", "z_first", "a_second", "b_second", "last"]


def test_order_without_data_is_kept(tmp_path):
    first, second = str(tmp_path / "first"), str(tmp_path / "second")
    flow = pipeline(
        [
            node(all_there, ["first", "second"], "there", name="a_look", after=["m_make", "z_make"]),
            node(nodes.touch, "first", None, name="z_make"),
            node(nodes.touch, "second", None, name="m_make"),
        ]
    )
    with pytest.warns(UserWarning, match="declares no outputs"):
        result = run(flow, {"first": first, "second": second}, executor="threads", workers=3)
    assert result["there"] is True


def numbers(*values):
    return sum(values) + 1


@st.composite
def graphs(draw):
    """Draw a pipeline, and what each of its free outputs should be."""
    count = draw(st.integers(1, 12))
    made, values = [], {"x": 1}
    for number in range(count):
        above = draw(st.lists(st.integers(-1, number - 1), max_size=4))
        inputs = ["x" if each < 0 else f"d{each}" for each in above] or ["x"]
        made.append(node(numbers, inputs, f"d{number}", name=f"n{number}"))
        values[f"d{number}"] = sum(values[name] for name in inputs) + 1
    flow = Pipeline(draw(st.permutations(made)))
    return flow, {name: values[name] for name in flow.plan.free_outputs}


@pytest.fixture(scope="module")
def pool():
    with ParallelRunner(2) as runner:
        yield runner


@given(graphs())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_graph_gives_the_same_results_on_every_executor(pool, graph):
    flow, expected = graph
    assert dict(pool.run(flow, {"x": 1})) == expected
    assert dict(run(flow, {"x": 1})) == expected
    assert dict(Runner("threads", workers=3).run(flow, {"x": 1})) == expected


@pytest.mark.parametrize("executor", ["sequential", *EXECUTORS])
def test_a_run_that_can_never_end_says_who_waits_for_whom(executor):
    flow = pipeline([node(nodes.same, "x", "y", name="first"), node(nodes.same, "y", "z", name="second")])
    flow.plan.unmet[1] += 1  # a valid pipeline never comes to this
    with pytest.raises(SchedulingError, match="'second' waits for"):
        run(flow, {"x": 1}, executor=executor)


def test_a_thousand_small_nodes_in_layers_come_out_right(pool):
    layers, width = 10, 100
    flow = [node(numbers, "x", f"d0_{at}", name=f"n0_{at}") for at in range(width)]
    for layer in range(1, layers):
        flow += [
            node(
                numbers,
                [f"d{layer - 1}_{at}", f"d{layer - 1}_{(at + 1) % width}"],
                f"d{layer}_{at}",
                name=f"n{layer}_{at}",
            )
            for at in range(width)
        ]
    expected = 1 + 1
    for _ in range(1, layers):
        expected = 2 * expected + 1
    result = pool.run(pipeline(flow), {"x": 1})
    assert set(result.values()) == {expected}
    assert len(result) == width


def test_a_failed_parent_keeps_its_children_from_starting(tmp_path):
    mark = tmp_path / "ran"
    flow = pipeline(
        [
            node(nodes.boom, "path", "y", name="boom"),
            node(nodes.touch, ["path", "y"], "z", name="child"),
        ]
    )
    for policy in ("stop", "drain", "continue"):
        with pytest.raises(NodeError):
            run(flow, {"path": str(mark)}, executor="process_pool", on_failure=policy)
    assert not mark.exists()
