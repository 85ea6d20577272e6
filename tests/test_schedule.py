"""Who is ready, who is done, what may be released: the states of one run over a plan."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import parallel_nodes as nodes
from kernel import Pipeline, node
from kernel.schedule import Phase, Schedule


def schedule_of(*made, on_failure="stop"):
    pipeline = Pipeline([node(nodes.nothing, inputs, outputs, name=name) for name, inputs, outputs in made])
    return pipeline.plan, Schedule(pipeline.plan, on_failure)


def diamond(on_failure="stop"):
    return schedule_of(
        ("a", ["x"], "top"),
        ("b", ["top"], "left"),
        ("c", ["top"], "right"),
        ("d", ["left", "right"], "bottom"),
        on_failure=on_failure,
    )


def test_nodes_become_ready_when_their_last_parent_is_done():
    _, schedule = diamond()
    assert schedule.take() == [0]
    schedule.done([0])
    assert schedule.take() == [1, 2]
    schedule.done([2])
    assert not schedule.has_ready
    schedule.done([1])
    assert schedule.take() == [3]
    schedule.done([3])
    assert schedule.over
    assert schedule.stuck() == []


def test_a_room_limits_what_is_taken_and_the_rest_stays_in_order():
    _, schedule = schedule_of(*((f"n{at}", ["x"], f"d{at}") for at in range(5)))
    assert [schedule.take(2), schedule.take(2), schedule.take(2)] == [[0, 1], [2, 3], [4]]
    assert schedule.unfinished == 5


def test_what_came_back_unstarted_is_handed_out_again_first():
    _, schedule = schedule_of(*((f"n{at}", ["x"], f"d{at}") for at in range(4)))
    schedule.take(3)
    schedule.returned([2, 1])
    assert schedule.take() == [1, 2, 3]
    assert schedule.unfinished == 4


def test_the_last_readers_inputs_are_told_as_bits():
    _, schedule = diamond()
    schedule.take()
    schedule.done([0])
    assert schedule.last_reader(["top"]) == 0
    schedule.done([1])
    assert schedule.last_reader(["top"]) == 1
    assert schedule.last_reader(["left", "right"]) == 3


def test_a_dataset_is_unneeded_when_each_of_its_reads_is_done_and_it_is_no_free_output():
    _, schedule = diamond()
    schedule.take()
    assert schedule.done([0]) == ["x"]
    schedule.take()
    assert schedule.done([1]) == []
    assert schedule.done([2]) == ["top"]
    schedule.take()
    assert sorted(schedule.done([3])) == ["left", "right"]


def test_a_dataset_that_one_node_reads_twice_counts_twice():
    _, schedule = schedule_of(("a", ["x", "x"], "y"), ("b", ["x"], "z"))
    schedule.take()
    assert schedule.last_reader(["x", "x"]) == 0
    assert schedule.done([0]) == []
    assert schedule.done([1]) == ["x"]


def test_one_form_of_a_transcoded_output_that_nobody_reads_is_unneeded_at_once():
    _, schedule = schedule_of(("a", ["x"], "m@save"), ("b", ["m@load"], "y"))
    schedule.take()
    assert sorted(schedule.done([0])) == ["m@save", "x"]
    schedule.take()
    assert schedule.done([1]) == ["m@load"]


def test_after_a_failure_nothing_more_starts_under_stop():
    _, schedule = schedule_of(("a", ["x"], "p"), ("b", ["x"], "q"), ("c", ["x"], "r"))
    schedule.take(2)
    schedule.failed(0)
    assert schedule.stopped
    assert not schedule.has_ready
    schedule.done([1])
    assert schedule.over


def test_after_a_failure_what_was_ready_still_starts_under_drain_and_nothing_becomes_ready():
    _, schedule = schedule_of(
        ("a", ["x"], "p"), ("b", ["x"], "q"), ("c", ["q"], "r"), ("d", ["x"], "s"), on_failure="drain"
    )
    schedule.take(2)
    schedule.failed(0)
    assert schedule.take() == [2]
    schedule.done([1, 2])
    assert schedule.over
    assert schedule.in_phase(Phase.WAITING) == [3]
    assert schedule.stuck() == []


def test_after_a_failure_all_that_does_not_need_it_runs_under_continue():
    plan, schedule = schedule_of(
        ("a", ["x"], "p"),
        ("b", ["x"], "q"),
        ("c", ["p"], "r"),
        ("d", ["q"], "s"),
        ("e", ["r", "s"], "t"),
        on_failure="continue",
    )
    schedule.take()
    schedule.failed(0)
    assert [plan.nodes[index].name for index in schedule.in_phase(Phase.SKIPPED)] == ["c", "e"]
    schedule.done([1])
    (index,) = schedule.take()
    assert plan.nodes[index].name == "d"
    schedule.done([index])
    assert schedule.over
    assert len(schedule.in_phase(Phase.SKIPPED)) == 2


def test_a_stopped_schedule_hands_nothing_out_again():
    _, schedule = schedule_of(("a", ["x"], "p"), ("b", ["x"], "q"))
    schedule.take()
    schedule.stop()
    schedule.returned([0, 1])
    assert schedule.over
    assert not schedule.has_ready


def test_who_can_never_start_is_named_with_whom_it_waits_for():
    plan, _ = diamond()
    plan.unmet[3] += 1  # a valid plan never has this
    schedule = Schedule(plan)
    for indices in ([0], [1, 2]):
        schedule.take()
        schedule.done(indices)
    assert schedule.over
    assert schedule.stuck() == ["'d' waits for nobody"]


@st.composite
def graphs(draw):
    count = draw(st.integers(1, 10))
    return [
        (
            f"n{number}",
            [f"d{each}" for each in draw(st.lists(st.integers(0, number - 1), max_size=3))] if number else ["x"],
            f"d{number}",
        )
        for number in range(count)
    ]


@given(graphs(), st.data())
def test_in_any_order_of_ends_each_node_runs_once_after_its_parents_and_each_dataset_goes_once(made, data):
    made = [(name, inputs or ["x"], outputs) for name, inputs, outputs in made]
    plan, schedule = schedule_of(*made)
    running, done, gone = [], set(), []
    while True:
        running += schedule.take(data.draw(st.none() | st.integers(1, 3)))
        if not running:
            break
        for index in running:
            assert done.issuperset(plan.parents[index])
        index = running.pop(data.draw(st.integers(0, len(running) - 1)))
        gone += schedule.done([index])
        done.add(index)
        for name in gone:
            readers = {at for at, inputs in enumerate(plan.inputs) if name in inputs}
            assert readers <= done
    assert done == set(range(len(plan.nodes)))
    assert schedule.over
    assert sorted(gone) == sorted(plan.load_counts.keys() - set(plan.free_outputs))


@pytest.mark.parametrize("policy", ["stop", "drain", "continue"])
@given(made=graphs(), data=st.data())
def test_whatever_fails_the_run_comes_to_an_end(policy, made, data):
    made = [(name, inputs or ["x"], outputs) for name, inputs, outputs in made]
    _, schedule = schedule_of(*made, on_failure=policy)
    while True:
        taken = schedule.take()
        if not taken:
            break
        for index in taken:
            if data.draw(st.booleans()):
                schedule.failed(index)
            else:
                schedule.done([index])
    assert schedule.over
    assert schedule.stuck() == []
