"""Drawn pipelines of values of all types give the same on every executor, and nothing outside of them changes."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawn_values import HELD, LEAVES, SHAPES, Does, act, digest
from everywhere import WAYS, everywhere
from kernel import node

GIVEN = ["numbers", "many numbers", "frame of lists", "frame with an index of others", "table", "polars", "object"]


@st.composite
def flows(draw):
    """Draw nodes as what they do and what they read: of those before them, several of which may read the same."""
    drawn = []
    for number in range(draw(st.integers(2, 8))):
        names = [*(f"d{each}" for each in range(number)), *(f"given {leaf}" for leaf in GIVEN)]
        # What was made last is read more often than what is given, so that there are chains.
        inputs = draw(st.lists(st.sampled_from(names[:number][-2:] * 3 + names), max_size=2, unique=True))
        takes = (
            draw(st.sampled_from(["made", "held"] + ["input"] * 3))
            if inputs
            else draw(st.sampled_from(["made", "held"]))
        )
        does = Does(
            takes, draw(st.sampled_from(sorted(LEAVES))), draw(st.sampled_from(sorted(SHAPES))), draw(st.booleans())
        )
        drawn.append((f"d{number}", does, inputs))
    return drawn


def nodes_of(flow):
    return [node(act, [f"does {name}", *inputs], name, name=name) for name, does, inputs in flow]


def expected_of(flow, values, monkeypatch):
    """Say what each node sees and makes, if whatever it reads is what a pickle gives of what was made."""
    kept = {name: pickle.dumps(value) for name, value in values.items()}
    seen = {}
    for name, does, inputs in flow:
        read = [pickle.loads(kept[each]) for each in inputs]
        noted = {}
        monkeypatch.setattr("kernel.note", noted.__setitem__)
        kept[name] = pickle.dumps(act(does, *read))
        seen[name] = noted
    monkeypatch.undo()
    return seen, {name: digest(pickle.loads(kept[name])) for name, _, _ in flow}


@pytest.fixture(scope="module")
def all_ways():
    with everywhere() as ways:
        yield ways


@given(flow=flows())
@settings(max_examples=30, deadline=None, derandomize=True)
def test_a_drawn_pipeline_gives_the_same_everywhere_and_changes_nothing_outside(all_ways, flow):
    held = digest(HELD)
    as_given = {f"given {leaf}": digest(LEAVES[leaf]()) for leaf in GIVEN}
    values = {f"given {leaf}": LEAVES[leaf]() for leaf in GIVEN}
    with pytest.MonkeyPatch.context() as monkeypatch:
        seen, made = expected_of(flow, values, monkeypatch)
    assert not any(each["spoilt"] for each in seen.values())
    for way in WAYS:
        free = values | {f"does {name}": does for name, does, _ in flow}
        with all_ways.run(way, nodes_of(flow), free) as result:
            assert {task.node: task.notes for task in result.report.tasks} == seen, way
            assert {name: digest(result[name]) for name in result} == {name: made[name] for name in result}, way
        assert {name: digest(value) for name, value in values.items()} == as_given, way
        assert digest(HELD) == held, way
