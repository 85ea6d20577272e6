"""A pipeline: what is refused, what can be read from it, the algebra, the plan."""

from __future__ import annotations

import json
import pickle
import warnings

import pytest

from kernel.errors import PipelineError
from kernel.nodes import node
from kernel.pipelines import NodeGroup, Pipeline, Plan, pipeline


def work(*values):
    return values


def step(name, inputs=None, outputs=None, **more):
    return node(work, inputs, outputs, name=name, **more)


def names(made):
    return [each.name for each in made.nodes]


@pytest.fixture
def diamond():
    return pipeline(
        [
            step("join", ["left", "right"], "end"),
            step("right", "start", "right"),
            step("left", ["start", "params:side"], "left"),
            step("load", "raw", "start"),
        ]
    )


def test_nodes_are_topological_and_then_by_name(diamond):
    assert names(diamond) == ["load", "left", "right", "join"]
    assert [[each.name for each in layer] for layer in diamond.grouped_nodes] == [
        ["load"],
        ["left", "right"],
        ["join"],
    ]


def test_the_order_does_not_depend_on_the_order_in_which_nodes_are_given(diamond):
    assert names(pipeline(reversed(diamond.nodes))) == names(diamond)
    assert pipeline(reversed(diamond.nodes)).plan.parents == diamond.plan.parents


def test_datasets_are_told_by_role(diamond):
    assert diamond.inputs() == {"raw", "params:side"}
    assert diamond.outputs() == {"end"}
    assert diamond.all_inputs() == {"raw", "params:side", "start", "left", "right"}
    assert diamond.all_outputs() == {"start", "left", "right", "end"}
    assert diamond.datasets() == diamond.all_inputs() | diamond.all_outputs()


def test_dependencies_are_told_by_node(diamond):
    told = {each.name: {parent.name for parent in above} for each, above in diamond.node_dependencies.items()}
    assert told == {"load": set(), "left": {"load"}, "right": {"load"}, "join": {"left", "right"}}


def test_an_empty_pipeline_is_a_pipeline():
    empty = pipeline([])
    assert (empty.nodes, empty.grouped_nodes, empty.inputs(), empty.datasets()) == ([], [], set(), set())
    assert empty.plan.layers == 0


def test_nodes_may_be_any_mix_of_nodes_and_pipelines(diamond):
    mixed = pipeline([step("z", "end", "z_out"), diamond, pipeline([step("a", None, "a_out")])])
    assert names(mixed) == ["a", "load", "left", "right", "join", "z"]
    assert names(pipeline(diamond)) == names(diamond)


@pytest.mark.parametrize("wrong", [None, 3, "text", step("a", "b", "c"), [None], [step("a", "b", "c"), "text"], [[]]])
def test_what_is_not_nodes_is_refused(wrong):
    with pytest.raises(PipelineError, match="nodes must be"):
        pipeline(wrong)


@pytest.mark.parametrize(
    ("nodes", "told"),
    [
        ([step("n", "a", "b"), step("n", "a", "c")], "more than once: n"),
        ([step("n", "a", "b"), step("n", "a", "b")], "more than once: n"),
        ([step("n", "a", "b"), pipeline([step("n", "a", "b")])], "more than once: n"),
        ([step("n", "a", "x"), step("m", "b", "x")], "output 'x' is made by two nodes, 'n' and 'm'"),
        ([step("n", "a", "x@p"), step("m", "b", "x@q")], "output 'x' is made by two nodes, 'n' and 'm'"),
        (
            [step("n", "a", "b", confirms="a"), step("m", "a", "c", confirms="a")],
            "dataset 'a' is confirmed by two nodes",
        ),
        ([step("n", "a", "x@p"), step("m", "x", "c")], "'x' is used both with and without '@'"),
        ([step("n", "x", "b"), step("m", "x@p", "c")], "'x' is used both with and without '@'"),
        (
            [step("n", "a", "b", after="load_x"), step("load", None, "c")],
            "'n' is to run after 'load_x', which is not",
        ),
        ([step("n", "a", "b"), step("m", "b", "a")], "cycle: .*(n -> m -> n|m -> n -> m)"),
        ([step("n", "x@p", "b"), step("m", "b", "x@q")], "cycle: .*(n -> m -> n|m -> n -> m)"),
        ([step("n", "a", "b"), step("m", "b", "c"), step("k", "c", "d", after="k")], "cycle: k -> k"),
        ([step("n", None, "b", after="m"), step("m", "b", "c")], "cycle: .*(n -> m -> n|m -> n -> m)"),
    ],
)
def test_what_cannot_be_a_pipeline_is_refused_and_named(nodes, told):
    with pytest.raises(PipelineError, match=told):
        pipeline(nodes)


def test_all_problems_are_told_at_once():
    with pytest.raises(PipelineError) as caught:
        pipeline(
            [
                step("twice", "a", "b"),
                step("twice", "a", "c"),
                step("one", "a", "same"),
                step("two", "a", "same"),
                step("conf1", "a", "d", confirms="a"),
                step("conf2", "a", "e", confirms="a"),
                step("plain", "form", "f"),
                step("coded", "form@x", "g"),
                step("late", "a", "h", after="twise"),
                step("round", "i", "j"),
                step("about", "j", "i"),
            ]
        )
    told = str(caught.value)
    for part in ("once: twice", "'same'", "confirmed", "'form'", "'twise'; did you mean 'twice'", "cycle: "):
        assert part in told.replace("'twise', which is not in this pipeline", "'twise'")
    assert told.startswith("6 problems")


def test_each_of_several_cycles_is_named_in_the_order_of_its_edges():
    with pytest.raises(PipelineError) as caught:
        pipeline(
            [
                step("a", "3", "1"),
                step("b", "1", "2"),
                step("c", "2", "3"),
                step("behind", "3", "behind"),
                step("x", "8", "9"),
                step("y", "9", "8"),
            ]
        )
    told = str(caught.value)
    assert any(text in told for text in ("a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"))
    assert any(text in told for text in ("x -> y -> x", "y -> x -> y"))
    assert "behind" not in told


def test_a_pipeline_cannot_be_changed(diamond):
    with pytest.raises(AttributeError):
        diamond.plan = None
    diamond.nodes.clear()
    diamond.inputs().clear()
    assert len(diamond.nodes) == 4
    assert diamond.inputs()


def test_after_orders_nodes_that_share_no_data():
    made = pipeline([step("a", None, "x", after="b"), step("b", None, "y", after=["c"]), step("c", None, "z")])
    assert names(made) == ["c", "b", "a"]
    assert made.plan.unmet == [0, 1, 1]
    assert made.plan.layers == 3
    assert made.outputs() == {"x", "y", "z"}


def test_a_parent_by_data_and_by_after_counts_once():
    made = pipeline([step("a", None, ["x", "y"]), step("b", ["x", "y", "x"], "z", after="a")])
    assert made.plan.parents == [(), (0,)]
    assert made.plan.children == [(1,), ()]
    assert made.plan.load_counts == {"x": 2, "y": 1}


def test_transcoded_names_join_nodes_but_keep_their_full_names():
    made = pipeline(
        [step("save", "raw", "t@save"), step("load", ["t@load", "t@save"], "out"), step("x", "free@a", "y")]
    )
    assert names(made) == ["save", "x", "load"]
    assert made.inputs() == {"raw", "free@a"}
    assert made.outputs() == {"out", "y"}
    assert made.datasets() == {"raw", "t@save", "t@load", "out", "free@a", "y"}
    assert made.plan.load_counts == {"raw": 1, "t@load": 1, "t@save": 1, "free@a": 1}
    assert made.plan.made == {"t@save": 0, "y": 1, "out": 2}


def test_the_plan_has_what_schedule_and_workers_need(diamond):
    plan = diamond.plan
    assert isinstance(plan, Plan)
    assert diamond.plan is plan
    assert [each.name for each in plan.nodes] == ["load", "left", "right", "join"]
    assert plan.index == {"load": 0, "left": 1, "right": 2, "join": 3}
    assert plan.parents == [(), (0,), (0,), (1, 2)]
    assert plan.children == [(1, 2), (3,), (3,), ()]
    assert plan.unmet == [0, 1, 1, 2]
    assert plan.inputs == [("raw",), ("start", "params:side"), ("start",), ("left", "right")]
    assert plan.outputs == [("start",), ("left",), ("right",), ("end",)]
    assert plan.load_counts == {"raw": 1, "start": 2, "params:side": 1, "left": 1, "right": 1}
    assert plan.made == {"start": 0, "left": 1, "right": 2, "end": 3}
    assert plan.free_inputs == ("params:side", "raw")
    assert plan.free_outputs == ("end",)
    assert plan.layers == 3


def test_a_pipeline_crosses_to_another_process_without_its_plan(diamond):
    before = pickle.dumps(diamond)
    assert diamond.plan.layers == 3
    assert len(pickle.dumps(diamond)) == len(before)
    back = pickle.loads(before)
    assert back.nodes == diamond.nodes
    assert back.plan.parents == diamond.plan.parents
    assert names(back + pipeline([step("more", "end", "last")])) == [*names(diamond), "more"]


# Algebra.


def test_sums_join_nodes_and_equal_nodes_are_one(diamond):
    more = pipeline([step("more", "end", "last"), step("load", "raw", "start")])
    for joined in (
        diamond + more,
        diamond | more,
        more + diamond,
        sum([diamond, more]),
        sum([diamond, more, diamond]),
    ):
        assert names(joined) == [*names(diamond), "more"]
        assert joined.outputs() == {"last"}
    assert names(sum([diamond], pipeline([]))) == names(diamond)


def test_differences_and_intersections_go_by_node(diamond):
    some = diamond.only_nodes("left", "join")
    assert names(diamond - some) == ["load", "right"]
    assert names(diamond & some) == ["left", "join"]
    assert names(diamond - diamond) == []
    assert (diamond - some).outputs() == {"right", "start"} - {"start"}


@pytest.mark.parametrize(
    ("left", "right", "told"),
    [
        ([step("n", "a", "b")], [step("n", "a", "c")], "'n' stands for two nodes|once: n"),
        ([step("n", "a", "x")], [step("m", "a", "x")], "output 'x' is made by two nodes, '[nm]' and '[nm]'"),
        ([step("n", "a", "x@p")], [step("m", "a", "x@q")], "output 'x' is made by two nodes"),
        ([step("n", "a", "x@p")], [step("m", "x", "y")], "'x' is used both with and without"),
        ([step("n", "x", "y")], [step("m", "x@p", "z")], "'x' is used both with and without"),
        (
            [step("n", "a", "b", confirms="a")],
            [step("m", "a", "c", confirms="a")],
            "'a' is confirmed by two nodes",
        ),
        ([step("n", "a", "b")], [step("m", "b", "a")], "cycle"),
        ([step("n", "a@1", "b")], [step("m", "b", "a@2")], "cycle"),
    ],
)
def test_a_sum_that_cannot_be_a_pipeline_is_refused_when_it_is_made(left, right, told):
    one, other = pipeline(left), pipeline(right)
    for join in (lambda: one + other, lambda: other + one, lambda: one | other, lambda: sum([one, other])):
        with pytest.raises(PipelineError, match=told):
            join()
    assert names(one) == [left[0].name]
    with pytest.raises(PipelineError, match=told):
        pipeline([one, other])


def test_all_problems_of_a_sum_are_told_at_once():
    one = pipeline([step("n", "a", "b"), step("k", "a", "x")])
    other = pipeline([step("n", "a", "c"), step("m", "a", "x")])
    with pytest.raises(PipelineError, match="2 problems"):
        _ = one + other


def test_a_cycle_through_two_nodes_that_both_summands_have_is_found():
    shared = [step("first", "z", "y"), step("last", "x", "w")]
    one = pipeline([*shared, step("down", "y", "x")])
    other = pipeline([*shared, step("up", "w", "z")])
    with pytest.raises(PipelineError, match="cycle"):
        _ = one + other


def test_a_cycle_in_a_large_sum_is_found_at_the_first_read_at_the_latest():
    parts = [pipeline([step(f"n{at}", f"d{at}", f"d{at + 1}")]) for at in range(600)]
    with pytest.raises(PipelineError, match="cycle"):
        _ = sum([*parts[::2], *parts[1::2], pipeline([step("back", "d600", "d0")])]).nodes


def test_a_sum_of_many_pipelines_is_the_pipeline_of_all_their_nodes():
    nodes = [step(f"n{at}", f"d{at}", f"d{at + 1}") for at in range(500)]
    together = pipeline(nodes)
    for order in (nodes, nodes[::-1], nodes[::2] + nodes[1::2]):
        summed = sum(pipeline([each]) for each in order)
        assert summed.nodes == together.nodes
        assert summed.plan.parents == together.plan.parents


def test_one_pipeline_can_be_added_to_several_others():
    base = pipeline([step("base", "a", "b")])
    made = [base + pipeline([step(f"n{at}", "b", "same")]) for at in range(5)]
    assert [names(each) for each in made] == [["base", f"n{at}"] for at in range(5)]
    assert names(base) == ["base"]


@pytest.mark.parametrize("other", [3, None, "text", [step("a", "b", "c")]])
def test_only_pipelines_can_be_combined(diamond, other):
    for combine in (
        lambda: diamond + other,
        lambda: other + diamond,
        lambda: diamond | other,
        lambda: diamond - other,
        lambda: diamond & other,
    ):
        with pytest.raises(TypeError):
            combine()


# Tags, text, groups.


def test_tags_are_added_to_each_node(diamond):
    tagged = pipeline([diamond, step("more", "end", "x", tags="own")], tags=["t", "u"])
    assert all({"t", "u"} <= each.tags for each in tagged.nodes)
    assert "own" in tagged.nodes[-1].tags
    assert all(each.tags == {"v"} for each in diamond.tag("v").nodes)
    assert all(not each.tags for each in diamond.nodes)
    with pytest.raises(PipelineError, match="tag"):
        diamond.tag("not a tag")


def test_the_description_has_inputs_nodes_in_order_and_outputs(diamond):
    assert diamond.describe() == "Inputs: params:side, raw\n\nload\nleft\nright\njoin\n\nOutputs: end"
    assert "left: work([start;params:side]) -> [left]" in diamond.describe(names_only=False)
    assert pipeline([]).describe() == "Inputs: None\n\n\nOutputs: None"
    assert "load: work([raw]) -> [start]" in repr(diamond)


def test_json_has_the_nodes_in_order():
    made = pipeline([step("b", "x", ["y"], tags=["u", "t"]), step("a", None, "x")])
    assert json.loads(made.to_json()) == {
        "pipeline": [
            {"name": "a", "inputs": [], "outputs": ["x"], "tags": []},
            {"name": "b", "inputs": ["x"], "outputs": ["y"], "tags": ["t", "u"]},
        ]
    }


def test_nodes_are_grouped_by_outermost_namespace_or_each_by_itself():
    made = pipeline(
        [
            step("a", None, "in.x", namespace="in"),
            step("b", "in.x", "in.y", namespace="in.deep"),
            step("c", "in.y", "z"),
            step("d", "z", "out.z", namespace="out"),
        ]
    )
    assert made.group_nodes_by("namespace") == [
        NodeGroup("in", "namespace", ("in.a", "in.deep.b"), ()),
        NodeGroup("c", "nodes", ("c",), ("in",)),
        NodeGroup("out", "namespace", ("out.d",), ("c",)),
    ]
    for by in (None, "none"):
        groups = made.group_nodes_by(by)
        assert [group.name for group in groups] == names(made)
        assert groups[1] == NodeGroup("in.deep.b", "nodes", ("in.deep.b",), ("in.a",))
    with pytest.raises(PipelineError, match="'namespace' or 'none', not by 'tags'"):
        made.group_nodes_by("tags")


def test_a_namespace_that_other_nodes_interrupt_gives_a_warning():
    inside = [step("a", None, "x", namespace="ns"), step("c", "y", "z", namespace="ns")]
    with pytest.warns(UserWarning, match="namespace 'ns' is interrupted by 'b'"):
        pipeline([*inside, step("b", "x", "y")])
    deeper = [step("a", None, "x", namespace="o.ns"), step("c", "y", "z", namespace="o.ns")]
    with pytest.warns(UserWarning, match=r"namespace 'o\.ns' is interrupted by 'o\.b'"):
        pipeline([*deeper, step("b", "x", "y", namespace="o")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline([*inside, step("b", None, "y"), step("d", "x", "w")])


def test_the_class_and_the_function_are_the_same_thing():
    assert isinstance(pipeline([]), Pipeline)
    assert names(Pipeline([step("a", "b", "c")], namespace="ns")) == ["ns.a"]


def test_the_node_with_the_longest_way_to_go_comes_first_in_the_order_of_starts():
    made = pipeline(
        [
            node(dict, None, "a", name="alone"),
            node(dict, None, "b", name="long"),
            node(dict, "b", "c", name="middle"),
            node(dict, "c", "d", name="end"),
            node(dict, "b", "e", name="branch"),
        ]
    )
    plan = made.plan
    assert [plan.nodes[at].name for at in plan.order] == ["long", "middle", "alone", "branch", "end"]
    assert [plan.order[place] for place in plan.rank] == list(range(5))
