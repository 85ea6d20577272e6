"""Pipelines of any shape: order, slices, algebra and plan, against the plain definition of each."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.errors import PipelineError
from kernel.nodes import base_name, node
from kernel.pipelines import pipeline

TAGS = ["red", "green"]
some = settings(max_examples=50, deadline=None)


def work(*values):
    return values


@st.composite
def graphs(draw):
    """Return nodes of a DAG in any order, joined by data (some of it transcoded) and by `after`."""
    count = draw(st.integers(0, 12))
    labels = draw(st.permutations(range(count)))
    transcoded = draw(st.sets(st.integers(0, count))) if draw(st.booleans()) else set()
    nodes = []
    for at in range(count):
        earlier = st.sampled_from(range(at)) if at else st.nothing()
        parents = draw(st.lists(earlier, max_size=3)) if at else []
        inputs = [f"d{p}@{draw(st.sampled_from('rw'))}" if p in transcoded else f"d{p}" for p in parents]
        inputs += draw(st.lists(st.sampled_from(["raw", "params:a"]), max_size=1))
        output = f"d{at}@w" if at in transcoded else f"d{at}"
        after = [f"n{labels[p]}" for p in draw(st.lists(earlier, max_size=1))] if at else []
        nodes.append(
            node(
                work,
                inputs,
                output,
                name=f"n{labels[at]}",
                after=after,
                tags=draw(st.sets(st.sampled_from(TAGS))),
            )
        )
    return draw(st.permutations(nodes))


def parents_of(nodes):
    """Work out who must come before whom, from the definition."""
    maker = {base_name(name): each.name for each in nodes for name in each.outputs}
    known = {each.name for each in nodes}
    return {
        each.name: {maker[base_name(name)] for name in each.inputs if base_name(name) in maker}
        | (set(each.after) & known)
        for each in nodes
    }


def closure(start, step):
    """Return all that can be reached, one step after the other, until nothing is new."""
    found = set(start)
    while True:
        more = {other for name in found for other in step[name]} - found
        if not more:
            return found
        found |= more


def turned(parents):
    return {name: {child for child, above in parents.items() if name in above} for name in parents}


def names(made):
    return {each.name for each in made.nodes}


@some
@given(graphs())
def test_every_node_comes_after_its_parents_and_layers_are_as_early_as_can_be(nodes):
    made = pipeline(nodes)
    parents = parents_of(nodes)
    assert sorted(each.name for each in made.nodes) == sorted(parents)
    depth = {}
    for level, layer in enumerate(made.grouped_nodes):
        assert [each.name for each in layer] == sorted(each.name for each in layer)
        for each in layer:
            assert level == 1 + max((depth[parent] for parent in parents[each.name]), default=-1)
            depth[each.name] = level
    assert [each for layer in made.grouped_nodes for each in layer] == made.nodes
    assert {each.name: {p.name for p in above} for each, above in made.node_dependencies.items()} == parents


@some
@given(graphs(), st.data())
def test_from_nodes_and_to_nodes_are_what_can_be_reached(nodes, data):
    made = pipeline(nodes)
    parents = parents_of(nodes)
    start = data.draw(st.sets(st.sampled_from(sorted(parents)))) if parents else set()
    assert names(made.from_nodes(*start)) == closure(start, turned(parents))
    assert names(made.to_nodes(*start)) == closure(start, parents)


@some
@given(graphs(), st.data())
def test_from_inputs_and_to_outputs_are_what_can_be_reached_from_the_datasets(nodes, data):
    made = pipeline(nodes)
    parents = parents_of(nodes)
    known = sorted(made.datasets() | {base_name(name) for name in made.datasets()})
    asked = data.draw(st.sets(st.sampled_from(known), max_size=3)) if known else set()

    def using(side):
        return {
            each.name
            for each in nodes
            if any(name in asked or base_name(name) in asked for name in getattr(each, side))
        }

    assert names(made.only_nodes_with_inputs(*asked)) == using("inputs")
    assert names(made.only_nodes_with_outputs(*asked)) == using("outputs")
    assert names(made.from_inputs(*asked)) == closure(using("inputs"), turned(parents))
    assert names(made.to_outputs(*asked)) == closure(using("outputs"), parents)


@some
@given(graphs(), st.data())
def test_filter_is_the_intersection_of_the_slices(nodes, data):
    made = pipeline(nodes)
    chosen = st.lists(st.sampled_from(sorted(names(made))), max_size=3) if nodes else st.just([])
    first, last, only = data.draw(chosen), data.draw(chosen), data.draw(chosen)
    tags = data.draw(st.lists(st.sampled_from(TAGS), max_size=2))
    kept = names(made)
    kept &= names(made.from_nodes(*first)) if first else kept
    kept &= names(made.to_nodes(*last)) if last else kept
    kept &= set(only) if only else kept
    kept &= names(made.only_nodes_with_tags(*tags)) if tags else kept
    asked = {"from_nodes": first, "to_nodes": last, "node_names": only, "tags": tags}
    if kept:
        assert names(made.filter(**asked)) == kept
    else:
        with pytest.raises(PipelineError):
            made.filter(**asked)


@some
@given(graphs(), st.data())
def test_the_algebra_is_that_of_sets_and_a_slice_is_a_fresh_pipeline(nodes, data):
    made = pipeline(nodes)
    choose = st.sets(st.sampled_from(sorted(names(made)))) if nodes else st.just(set())
    one, other = data.draw(choose), data.draw(choose)
    left, right = made.only_nodes(*one), made.only_nodes(*other)
    assert names(left + right) == names(right + left) == names(left | right) == one | other
    assert names(left & right) == names(right & left) == one & other
    assert names(left - right) == one - other
    assert ((left - right) + (left & right)).nodes == left.nodes
    assert (left + left).nodes == left.nodes
    assert sum([left, right, made - left - right]).plan.parents == made.plan.parents
    fresh = pipeline([each.copy(after=[name for name in each.after if name in one]) for each in left.nodes])
    assert fresh.plan.parents == left.plan.parents
    assert fresh.plan.load_counts == left.plan.load_counts
    assert (fresh.inputs(), fresh.outputs()) == (left.inputs(), left.outputs())


@some
@given(graphs())
def test_the_plan_agrees_with_the_nodes(nodes):
    made = pipeline(nodes)
    plan = made.plan
    parents = parents_of(nodes)
    for at, each in enumerate(plan.nodes):
        assert plan.index[each.name] == at
        assert {plan.nodes[p].name for p in plan.parents[at]} == parents[each.name]
        assert all(parent < at for parent in plan.parents[at])
        assert len(set(plan.parents[at])) == plan.unmet[at] == len(plan.parents[at])
        assert all(at in plan.parents[child] for child in plan.children[at])
        assert (plan.inputs[at], plan.outputs[at]) == (each.inputs, each.outputs)
        assert all(plan.made[name] == at for name in each.outputs)
    assert sum(map(len, plan.children)) == sum(plan.unmet)
    assert plan.load_counts == Counter(name for each in nodes for name in each.inputs)
    read = {base_name(name) for name in plan.load_counts}
    written = {base_name(name) for name in plan.made}
    assert plan.free_inputs == tuple(sorted(name for name in plan.load_counts if base_name(name) not in written))
    assert plan.free_outputs == tuple(sorted(name for name in plan.made if base_name(name) not in read))
    assert plan.layers == len(made.grouped_nodes)


@some
@given(graphs(), st.data())
def test_an_edge_back_is_a_cycle_whose_nodes_are_named(nodes, data):
    made = pipeline(nodes)
    if not nodes:
        return
    parents = parents_of(nodes)
    last = data.draw(st.sampled_from(sorted(parents)))
    first = data.draw(st.sampled_from(sorted(closure([last], parents))))
    broken = [each.copy(after=[*each.after, last]) if each.name == first else each for each in made.nodes]
    with pytest.raises(PipelineError, match="cycle") as caught:
        pipeline(broken)
    cycle = str(caught.value).partition("cycle: ")[2].split("; ")[0].split(" -> ")
    assert cycle[0] == cycle[-1]
    assert {first, last} <= set(cycle)
    now = parents_of(broken)
    assert all(before in now[then] for before, then in pairwise(cycle))
