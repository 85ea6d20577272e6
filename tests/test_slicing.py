"""Slices of a pipeline by node, dataset, tag and namespace, and their intersection."""

from __future__ import annotations

import pytest

from kernel.errors import PipelineError
from kernel.nodes import node
from kernel.pipelines import pipeline


def work(*values):
    return values


def step(name, inputs=None, outputs=None, **more):
    return node(work, inputs, outputs, name=name, **more)


def names(made):
    return {each.name for each in made.nodes}


@pytest.fixture
def flow():
    """a -> b -> c, a -> d, e apart; f before g by order alone."""
    return pipeline(
        [
            step("a", "raw", "one", tags="x"),
            step("b", ["one", "params:p"], "two@w", tags=["x", "y"]),
            step("c", "two@r", "three", namespace="ns"),
            step("d", "one", "four", tags="y", namespace="ns.deep"),
            step("e", "other", "five", namespace="nsx"),
            step("f", None, "six"),
            step("g", "other", "seven", after="f"),
        ]
    )


@pytest.mark.parametrize(
    ("rule", "given", "kept"),
    [
        ("only_nodes", ["a", "ns.c"], {"a", "ns.c"}),
        ("only_nodes", [], set()),
        ("from_nodes", ["b"], {"b", "ns.c"}),
        ("from_nodes", ["a", "nsx.e"], {"a", "b", "ns.c", "ns.deep.d", "nsx.e"}),
        ("from_nodes", ["f"], {"f", "g"}),
        ("from_nodes", [], set()),
        ("to_nodes", ["b"], {"a", "b"}),
        ("to_nodes", ["g"], {"f", "g"}),
        ("to_nodes", ["ns.c", "ns.deep.d"], {"a", "b", "ns.c", "ns.deep.d"}),
        ("from_inputs", ["one"], {"b", "ns.c", "ns.deep.d"}),
        ("from_inputs", ["params:p"], {"b", "ns.c"}),
        ("from_inputs", ["two"], {"ns.c"}),
        ("from_inputs", ["two@r"], {"ns.c"}),
        ("from_inputs", ["two@w"], set()),
        ("from_inputs", ["other"], {"nsx.e", "g"}),
        ("from_inputs", ["three"], set()),
        ("to_outputs", ["two"], {"a", "b"}),
        ("to_outputs", ["two@w"], {"a", "b"}),
        ("to_outputs", ["two@r"], set()),
        ("to_outputs", ["four", "seven"], {"a", "ns.deep.d", "f", "g"}),
        ("only_nodes_with_inputs", ["one"], {"b", "ns.deep.d"}),
        ("only_nodes_with_inputs", ["two"], {"ns.c"}),
        ("only_nodes_with_outputs", ["two", "six"], {"b", "f"}),
        ("only_nodes_with_outputs", ["raw"], set()),
        ("only_nodes_with_tags", ["x"], {"a", "b"}),
        ("only_nodes_with_tags", ["x", "y"], {"a", "b", "ns.deep.d"}),
        ("only_nodes_with_tags", ["unknown"], set()),
        ("only_nodes_with_tags", [], set()),
        ("only_nodes_with_namespaces", ["ns"], {"ns.c", "ns.deep.d"}),
        ("only_nodes_with_namespaces", ["ns.deep"], {"ns.deep.d"}),
        ("only_nodes_with_namespaces", ["nsx", "ns.deep"], {"nsx.e", "ns.deep.d"}),
        ("only_nodes_with_namespaces", [["ns", "nsx"]], {"ns.c", "ns.deep.d", "nsx.e"}),
    ],
)
def test_a_slice_keeps_what_its_rule_says(flow, rule, given, kept):
    assert names(getattr(flow, rule)(*given)) == kept


@pytest.mark.parametrize(
    ("rule", "unknown", "told"),
    [
        ("only_nodes", "c", "no node 'c'.*did you mean 'ns.c'"),
        ("from_nodes", "d", "no node 'd'.*did you mean 'ns.deep.d'"),
        ("to_nodes", "zzz", "no node 'zzz' in this pipeline$"),
        ("from_inputs", "on", "no dataset 'on'.*did you mean 'one'"),
        ("to_outputs", "threee", "no dataset 'threee'.*did you mean 'three'"),
        ("only_nodes_with_inputs", "one@x", "no dataset 'one@x'"),
        ("only_nodes_with_outputs", "zzz", "no dataset 'zzz' in this pipeline$"),
        ("only_nodes_with_namespaces", "n", "no namespace 'n'"),
        ("only_nodes_with_namespaces", "deep", "no namespace 'deep'.*did you mean 'ns.deep'"),
    ],
)
def test_an_unknown_name_is_an_error_with_a_suggestion(flow, rule, unknown, told):
    with pytest.raises(PipelineError, match=told):
        getattr(flow, rule)(unknown)


def test_all_unknown_names_are_told_at_once(flow):
    with pytest.raises(PipelineError, match=r"(?s)2 problems.*'u'.*'v'"):
        flow.only_nodes("a", "u", "v")


def test_filter_keeps_what_all_rules_keep_of_the_whole_pipeline(flow):
    assert names(flow.filter()) == names(flow)
    assert names(flow.filter(tags=["x"], from_nodes=["b"])) == {"b"}
    assert names(flow.filter(from_nodes=["a"], to_nodes=["ns.c"])) == {"a", "b", "ns.c"}
    assert names(flow.filter(from_inputs=["one"], to_outputs=["two"])) == {"b"}
    assert names(flow.filter(node_names=["a", "ns.c"], node_namespaces=["ns"])) == {"ns.c"}
    assert names(flow.filter(tags=[], from_nodes=(), node_names=["a"])) == {"a"}
    assert names(flow.filter(tags="x")) == {"a", "b"}


def test_filters_that_leave_nothing_are_an_error_that_names_them(flow):
    with pytest.raises(PipelineError, match=r"tags=\['x'\], node_names=\['ns.c'\]"):
        flow.filter(tags=["x"], node_names=["ns.c"])
    with pytest.raises(PipelineError, match="it has no nodes"):
        pipeline([]).filter()
    with pytest.raises(PipelineError, match="no node 'u'"):
        flow.filter(node_names=["u"])


def test_a_slice_is_a_pipeline_of_its_own(flow):
    part = flow.from_nodes("b")
    assert part.inputs() == {"one", "params:p"}
    assert part.plan.parents == [(), (0,)]
    assert part.plan.layers == 2
    assert names(part.to_nodes("b")) == {"b"}
    assert flow.only_nodes("ns.c").inputs() == {"two@r"}


def test_an_order_that_leads_out_of_the_slice_is_dropped_and_comes_back_in_a_sum(flow):
    late, early = flow.only_nodes("g"), flow.only_nodes("f")
    assert late.plan.unmet == [0]
    for joined in (late + early, early + late, pipeline([late, early])):
        assert joined.plan.unmet == [0, 1]
    assert pipeline([late]).plan.unmet == [0]
    assert names(pipeline(late, namespace="new")) == {"new.g"}
