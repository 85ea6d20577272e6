"""Drawn pipelines of values of all types give the same on every executor, and nothing outside of them changes."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from drawn_values import HELD, LEAVES, SHAPES, Does, act, digest
from everywhere import WAYS, everywhere
from kernel import node

#: A pipeline that fails is shown as it was drawn: it is small, and to look for a smaller one takes minutes.
DRAWN = (Phase.explicit, Phase.generate)
GIVEN = ["numbers", "many numbers", "frame of lists", "frame with an index of others", "table", "polars", "object"]


#: Drawn more often: memory and labels of others that come back by another object, for one reader that changes them.
LEAF = st.sampled_from([*sorted(LEAVES), *["numbers", "many numbers", "frame with an index of others", "series"] * 3])
SHAPE = st.sampled_from([*sorted(SHAPES), *["a part", "seen by another library", "as it is"] * 3])
TAKES = st.sampled_from(["made", "held", "held", "input", "input", "input"])
CHANGES = st.sampled_from([True, True, False])


@st.composite
def flows(draw):
    """Draw nodes as what they do and what they read: of those before them, several of which may read the same."""
    drawn = []
    for number in range(draw(st.integers(3, 10))):
        before = [f"d{each}" for each in range(number)]
        others = st.lists(st.sampled_from([*before, *(f"given {leaf}" for leaf in GIVEN)]), max_size=2, unique=True)
        inputs = draw(st.one_of(st.just(before[-1:]), st.just(before[-1:]), others))
        takes = draw(TAKES if inputs else st.sampled_from(["made", "held"]))
        does = Does(takes, draw(LEAF), draw(SHAPE), draw(CHANGES))
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
@settings(max_examples=40, deadline=None, derandomize=True, phases=DRAWN)
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
