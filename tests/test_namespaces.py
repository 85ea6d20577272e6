"""Pipelines used again: new names for datasets, parameters and nodes."""

from __future__ import annotations

import pytest

from kernel.errors import PipelineError
from kernel.nodes import node
from kernel.pipelines import pipeline


def work(*values):
    return values


def step(name, inputs=None, outputs=None, **more):
    return node(work, inputs, outputs, name=name, **more)


@pytest.fixture
def model():
    return pipeline(
        [
            step("train", ["table@pandas", "params:trees", "parameters"], "fit", confirms="table@pandas"),
            step("score", ["fit", "params:a.b"], ["score", "plot"], after="train", tags="t"),
        ]
    )


def shapes(made):
    return {each.name: (each.inputs, each.outputs) for each in made.nodes}


def test_a_namespace_goes_in_front_of_nodes_datasets_and_parameters(model):
    made = pipeline(model, namespace="ns")
    assert shapes(made) == {
        "ns.train": (("ns.table@pandas", "params:ns.trees", "parameters"), ("ns.fit",)),
        "ns.score": (("ns.fit", "params:ns.a.b"), ("ns.score", "ns.plot")),
    }
    train, score = made.nodes
    assert (train.namespace, train.confirms) == ("ns", ("ns.table@pandas",))
    assert (score.after, score.tags, score.short_name) == (("ns.train",), {"t"}, "score")


def test_datasets_that_are_listed_keep_their_names(model):
    made = pipeline(model, namespace="ns", inputs="table", outputs={"plot"}, parameters=["trees", "params:a.b"])
    assert made.inputs() == {"table@pandas", "params:trees", "parameters", "params:a.b"}
    assert made.outputs() == {"ns.score", "plot"}


def test_datasets_that_are_mapped_get_their_new_names(model):
    made = pipeline(
        model,
        inputs={"table": "flights"},
        outputs={"score": "auc", "fit": "forest"},
        parameters={"params:trees": "params:oaks", "a.b": "c"},
    )
    assert shapes(made) == {
        "train": (("flights@pandas", "params:oaks", "parameters"), ("forest",)),
        "score": (("forest", "params:c"), ("auc", "plot")),
    }
    assert made.nodes[0].confirms == ("flights@pandas",)


def test_one_form_of_a_transcoded_dataset_can_be_mapped():
    made = pipeline(pipeline([step("n", ["t@a", "t@b"], "out")]), namespace="ns", inputs={"t@a": "u@a"})
    assert made.inputs() == {"u@a", "ns.t@b"}


def test_inputs_and_outputs_keep_the_form_in_which_a_node_declares_them():
    single = node(lambda x, y: {"k": x}, {"y": "b", "x": "a"}, {"k": "c"}, name="n")
    made = pipeline([single], namespace="ns", inputs="a").nodes[0]
    assert made.declared_inputs == {"x": "a", "y": "ns.b"}
    assert made.declared_outputs == {"k": "ns.c"}
    assert made.run({"a": 1, "ns.b": 2}) == {"ns.c": 1}
    assert pipeline([step("n", "a", None)], namespace="ns").nodes[0].declared_outputs is None


def test_namespaces_nest(model):
    inner = pipeline(model, namespace="inner", inputs="table")
    made = pipeline(inner, namespace="outer")
    assert {each.name for each in made.nodes} == {"outer.inner.train", "outer.inner.score"}
    assert {each.namespace for each in made.nodes} == {"outer.inner"}
    assert made.inputs() == {
        "outer.table@pandas",
        "params:outer.inner.trees",
        "params:outer.inner.a.b",
        "parameters",
    }


def test_datasets_may_stay_without_the_prefix(model):
    made = pipeline(model, namespace="ns", prefix_datasets_with_namespace=False, outputs={"score": "auc"})
    assert shapes(made) == {
        "ns.train": (("table@pandas", "params:trees", "parameters"), ("fit",)),
        "ns.score": (("fit", "params:a.b"), ("auc", "plot")),
    }


def test_a_pipeline_can_be_used_twice_under_two_namespaces(model):
    both = pipeline(model, namespace="a", parameters="trees") + pipeline(model, namespace="b", parameters="trees")
    assert len(both.nodes) == 4
    assert "params:trees" in both.inputs()
    assert both.outputs() == {"a.score", "a.plot", "b.score", "b.plot"}


def test_default_names_stay_unique_when_only_datasets_are_mapped():
    plain = pipeline([node(work, "a", "b"), node(work, "c", "d", after=node(work, "a", "b").name)])
    other = pipeline(plain, inputs={"a": "x", "c": "y"}, outputs={"b": "v", "d": "w"})
    both = plain + other
    assert len(both.nodes) == 4
    assert both.plan.layers == 2
    assert both.plan.unmet == [0, 0, 1, 1]


@pytest.mark.parametrize(
    ("mapping", "told"),
    [
        (
            {"inputs": "params:trees"},
            "'params:trees' is a parameter: map it in 'parameters', not in 'inputs'",
        ),
        ({"outputs": "parameters"}, "'parameters' is a parameter"),
        ({"inputs": "fit"}, "'inputs' maps 'fit', but a node of this pipeline makes it"),
        ({"outputs": "table"}, "'outputs' maps 'table', but no node of this pipeline makes it"),
        ({"inputs": {"tabel": "x"}}, "'tabel', which no node reads or makes; did you mean 'table'"),
        ({"inputs": "table@spark"}, "'table@spark', which no node reads or makes"),
        ({"outputs": ["scores"]}, "'scores', which no node reads or makes; did you mean 'score'"),
        ({"parameters": "tree"}, "'params:tree', which no node reads or makes; did you mean 'params:trees'"),
        ({"inputs": [3]}, "inputs must be a name"),
        ({"inputs": {"table": 3}}, "inputs must be a name"),
        ({"namespace": "not a namespace"}, "namespace 'not a namespace'"),
    ],
)
def test_a_mapping_that_does_not_fit_is_an_error(model, mapping, told):
    with pytest.raises(PipelineError, match=told):
        pipeline(model, **mapping)


def test_all_that_does_not_fit_is_told_at_once(model):
    with pytest.raises(PipelineError, match="3 problems"):
        pipeline(model, inputs=["fit", "params:trees"], outputs="nothing")


def test_a_mapping_that_makes_two_nodes_save_one_dataset_is_an_error():
    with pytest.raises(PipelineError, match="output 'same' is made by two nodes"):
        pipeline([step("a", None, "x"), step("b", None, "y")], outputs={"x": "same", "y": "same"})
