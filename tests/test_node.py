"""A node: what may be declared, what is refused, and how values go in and out."""

from __future__ import annotations

import functools
import logging
import pickle
import subprocess
import sys

import pytest

from kernel.errors import KernelError, PipelineError
from kernel.nodes import Node, Policy, bind_inputs, node, unpack_outputs


def identity(value):
    return value


def pair(left, right):
    return left, right


def nothing(*values):
    return None


def chunks(count):
    for at in range(count):
        yield at, -at


def by_keyword(*, alpha, beta, **others):
    return alpha, beta, others


@pytest.mark.parametrize(
    ("inputs", "names"),
    [
        (None, ()),
        ([], ()),
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        (("a", "a"), ("a", "a")),
        ({"x": "a", "y": "b"}, ("a", "b")),
    ],
)
def test_inputs_may_be_none_a_name_a_list_a_tuple_or_a_dict(inputs, names):
    made = node(lambda *values, **named: None, inputs, "out")
    assert made.inputs == made.input_names == names


@pytest.mark.parametrize(
    ("outputs", "names"),
    [
        (None, ()),
        ("a", ("a",)),
        (["a", "b"], ("a", "b")),
        (("a",), ("a",)),
        ({"k": "a", "l": "b"}, ("a", "b")),
    ],
)
def test_outputs_may_be_none_a_name_a_list_a_tuple_or_a_dict(outputs, names):
    made = node(identity, "in", outputs)
    assert made.outputs == made.output_names == names


def test_dict_inputs_are_in_the_order_of_the_signature():
    made = node(by_keyword, {"extra": "e", "beta": "b", "alpha": "a"}, None)
    assert made.input_names == ("a", "b", "e")
    assert list(made.declared_inputs) == ["alpha", "beta", "extra"]
    assert made.bind([1, 2, 3]) == ((), {"alpha": 1, "beta": 2, "extra": 3})


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((None, "a", "b"), "callable, got NoneType"),
        (("text", "a", "b"), "callable, got str"),
        ((identity, 1, "b"), "inputs must be None, a name, a list or a dict of names, got int"),
        ((identity, "a", {"b"}), "outputs must be None, a name, a list or a dict of names, got set"),
        ((identity, [1], "b"), "strings, got int"),
        ((identity, "a", ["b", None]), "strings, got NoneType"),
        ((identity, {1: "a"}, "b"), "strings as keys, got int"),
        ((identity, "", "b"), "empty name"),
        ((identity, "a", [""]), "empty name"),
        ((nothing, None, None), "neither inputs nor outputs"),
        ((nothing, [], {}), "neither inputs nor outputs"),
        ((identity, ["a", "b"], "c"), "does not take 2 positional"),
        ((identity, None, "c"), "does not take 0 positional"),
        ((identity, {"wrong": "a"}, "c"), "does not take keywords wrong"),
        ((pair, ["a", "b"], ["c", "c"]), "more than once: c"),
        ((pair, ["a", "b"], {"x": "c", "y": "c"}), "more than once: c"),
        ((pair, ["a", "b"], ["c@x", "c@y"]), "more than once: c"),
        ((identity, "a", "a"), "both input and output of one node: a"),
        ((identity, "a@x", "a@y"), "both input and output of one node: a@x"),
        ((identity, "a@x", "a"), "both input and output of one node: a@x"),
        ((identity, "a@b@c", "d"), "one '@'"),
        ((identity, "@b", "d"), "one '@'"),
        ((identity, "a@", "d"), "one '@'"),
        ((identity, "a\nb", "d"), "control characters"),
        ((identity, "a\0", "d"), "control characters"),
        ((identity, "a", "d\x1b[31m"), "control characters"),
        ((identity, "a\u2028", "d"), "control characters"),
        ((identity, "a\ud800", "d"), "control characters"),
    ],
)
def test_what_makes_no_sense_is_refused_and_the_node_is_named(arguments, told):
    with pytest.raises(PipelineError) as caught:
        node(*arguments, name="the_node")
    assert told in str(caught.value)
    assert "the_node" in str(caught.value)
    assert isinstance(caught.value, KernelError)
    assert isinstance(caught.value, ValueError)


def test_a_refused_node_without_a_name_is_told_by_its_function_and_datasets():
    with pytest.raises(PipelineError, match=r"node identity\(\['a', 'b'\]\) -> 'c'"):
        node(identity, ["a", "b"], "c")


@pytest.mark.parametrize("name", ["année été", "数据", "a b", "a\u00a0b", "params:a.b", "a/b;c", "😀"])
def test_dataset_names_are_data_and_may_have_letters_of_any_script_and_spaces(name):
    assert node(identity, name, "out").inputs == (name,)


@pytest.mark.parametrize("name", ["", "a b", "a/b", "a:b", "a\n", "a,b", 3])
@pytest.mark.parametrize("what", ["name", "namespace", "tags"])
def test_names_namespaces_and_tags_have_letters_digits_and_three_signs_only(what, name):
    with pytest.raises(PipelineError, match=r"letters, digits|must be a string"):
        node(identity, "a", "b", **{what: [name] if what == "tags" else name})


def test_good_names_namespaces_and_tags_are_taken():
    made = node(identity, "a", "b", name="a-b_c.9", tags=["x", "y-1"], namespace="outer.inner")
    assert made.name == "outer.inner.a-b_c.9"
    assert made.short_name == "a-b_c.9"
    assert made.namespace == "outer.inner"
    assert made.tags == {"x", "y-1"}
    assert node(identity, "a", "b", tags="xyz").tags == {"xyz"}


def test_the_signature_of_a_wrapper_counts_and_not_that_of_what_it_wraps():
    @functools.wraps(pair)
    def wrapper(value):
        return value

    assert node(wrapper, "a", "b").inputs == ("a",)
    with pytest.raises(PipelineError, match="does not take 2 positional"):
        node(wrapper, ["a", "b"], "c")


def test_builtins_without_a_signature_are_taken_with_any_inputs():
    assert node(max, ["a", "b", "c"], "d").run({"a": 1, "b": 3, "c": 2}) == {"d": 3}
    assert node(dict, {"x": "a"}, "d").run({"a": 1}) == {"d": {"x": 1}}


def test_methods_partials_and_callable_objects_are_bound_by_their_own_signature():
    class Adder:
        def __call__(self, value):
            return value + 1

        def method(self, value):
            return value + 2

    assert node(Adder(), "a", "b").run({"a": 1}) == {"b": 2}
    assert node(Adder().method, "a", "b").run({"a": 1}) == {"b": 3}
    assert node(functools.partial(pair, 0), "a", ["b", "c"]).run({"a": 1}) == {"b": 0, "c": 1}
    for func in (Adder(), Adder().method, functools.partial(pair, 0)):
        with pytest.raises(PipelineError, match="2 positional"):
            node(func, ["a", "b"], "c")


def test_a_default_name_is_the_function_and_eight_hex_digits():
    made = node(identity, "a", "b")
    function, digits = made.name.split("__")
    assert function == "identity"
    assert len(digits) == 8
    assert int(digits, 16) >= 0
    assert made.short_name == "Identity"
    assert node(by_keyword, {"alpha": "a", "beta": "b"}, "c").short_name == "By Keyword"
    assert node(functools.partial(pair, 1), "a", "b").name.startswith("partial(pair)__")
    assert node(identity, "a", "b", namespace="ns").name == f"ns.{made.name}"


def test_default_names_tell_functions_inputs_and_outputs_apart():
    made = [
        node(identity, "a", "b"),
        node(identity, ["a"], "b"),
        node(identity, "a", ["b"]),
        node(identity, {"value": "a"}, "b"),
        node(identity, "c", "b"),
        node(nothing, "a", "b"),
    ]
    assert len({each.name for each in made}) == len(made)
    assert node(identity, "a", "b").name == made[0].name


def test_a_default_name_is_the_same_in_another_process():
    code = "from collections import Counter; from kernel.nodes import node; print(node(Counter, 'a', 'b').name)"
    names = {
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        for _ in range(2)
    }
    assert len(names) == 1


def test_nodes_are_equal_hashed_and_ordered_by_name_inputs_and_outputs():
    made = node(identity, "a", "b", name="n")
    same = node(nothing, "a", "b", name="n", tags="t", retries=3)
    assert made == same
    assert hash(made) == hash(same)
    assert len({made, same}) == 1
    others = [
        node(identity, "c", "b", name="n"),
        node(identity, "a", "c", name="n"),
        node(identity, "a", "b", name="m"),
        node(identity, ["a"], "b", name="n"),
        node(identity, "a", "b", name="n", namespace="ns"),
    ]
    assert made not in others
    assert made != "n"
    ordered = sorted(node(identity, "a", "b", name=name) for name in "cab")
    assert [each.name for each in ordered] == ["a", "b", "c"]
    assert node(identity, "a", "b", name="n") < node(identity, "b", "c", name="n")
    assert node(identity, "a", "b", name="n") <= made
    with pytest.raises(TypeError):
        _ = made < 3


def test_the_text_of_a_node_shows_name_function_inputs_and_outputs():
    assert str(node(pair, ["a", "b"], "c", name="n")) == "n: pair([a;b]) -> [c]"
    assert str(node(nothing, "a", None, name="n")) == "n: nothing([a]) -> None"
    assert str(node(nothing, None, "a", name="n")) == "n: nothing(None) -> [a]"


def test_a_node_cannot_be_changed():
    made = node(identity, "a", "b")
    with pytest.raises(AttributeError):
        made.name = "other"
    with pytest.raises(AttributeError):
        made.unknown = 1


def test_tag_and_copy_give_new_nodes():
    made = node(identity, "a", "b", name="n", tags="x", confirms="a", after="m", namespace="ns", timeout=3)
    tagged = made.tag(["y"])
    assert (made.tags, tagged.tags, made.tag("yz").tags) == ({"x"}, {"x", "y"}, {"x", "yz"})
    assert tagged == made
    assert (tagged.confirms, tagged.after, tagged.policy, tagged.name) == (
        ("a",),
        ("m",),
        made.policy,
        "ns.n",
    )
    assert made.copy(namespace=None).name == "n"
    with pytest.raises(PipelineError):
        made.tag("not a tag")


def test_confirms_and_after_are_a_name_or_a_list():
    assert node(identity, "a", "b", confirms="a", after="m").confirms == ("a",)
    made = node(identity, "a", "b", confirms=["a", "c"], after=["m", "k", "m"])
    assert (made.confirms, made.after) == (("a", "c"), ("m", "k"))
    for wrong in ([1], [""], ""):
        with pytest.raises(PipelineError, match="after must be"):
            node(identity, "a", "b", after=wrong)


def test_a_node_crosses_to_another_process_with_all_it_has():
    made = node(
        pair,
        {"right": "r", "left": "l"},
        ["a", "b"],
        name="n",
        tags="t",
        namespace="ns",
        resources={"gpu": 1},
    )
    back = pickle.loads(pickle.dumps(made))
    assert back == made
    for field in (
        "name",
        "input_names",
        "declared_inputs",
        "declared_outputs",
        "tags",
        "policy",
        "is_generator",
    ):
        assert getattr(back, field) == getattr(made, field)
    assert back.run({"r": 2, "l": 1}) == {"a": 1, "b": 2}


def test_a_node_is_restored_from_its_parts_with_the_same_name():
    for made in (
        node(lambda value: value, "a", "b"),
        node(identity, {"value": "a"}, ["b"], name="n", namespace="ns", tags="t"),
        node(functools.partial(pair, 1), "a", None),
    ):
        back = Node.restored(
            made.func,
            made.declared_inputs,
            made.declared_outputs,
            name=made.name,
            tags=made.tags,
            namespace=made.namespace,
        )
        assert back == made
        assert (back.input_names, back.output_names, back.tags) == (
            made.input_names,
            made.output_names,
            made.tags,
        )


def test_only_a_generator_function_makes_a_generator_node():
    def returns_an_iterator(count):
        return iter(range(count))

    assert node(chunks, "a", ["b", "c"]).is_generator
    assert node(functools.partial(chunks, 3), None, ["b", "c"]).is_generator
    assert not node(returns_an_iterator, "a", "b").is_generator


def test_run_takes_and_returns_values_by_dataset_name():
    assert node(pair, ["a", "b"], ["c", "d"]).run({"a": 1, "b": 2}) == {"c": 1, "d": 2}
    assert node(pair, ["a", "a"], "c").run({"a": 1}) == {"c": (1, 1)}
    assert node(identity, "a", "b")(a=5) == {"b": 5}
    assert node(nothing, None, "x").run() == {"x": None}
    assert node(chunks, "n", ["b", "c"]).run({"n": 3}) == {"b": [0, 1, 2], "c": [0, -1, -2]}


def test_run_refuses_other_inputs_than_the_nodes():
    made = node(pair, ["a", "b"], "c", name="the_node")
    with pytest.raises(PipelineError, match=r"the_node.*missing: \['b'\].*not inputs of this node: \['z'\]"):
        made.run({"a": 1, "z": 2})
    with pytest.raises(PipelineError, match="missing"):
        made.run()


def test_a_failing_function_is_logged_and_its_exception_raised(caplog):
    def fails(value):
        raise KeyError(value)

    with caplog.at_level(logging.ERROR), pytest.raises(KeyError):
        node(fails, "a", "b", name="the_node").run({"a": "secret"})
    assert "the_node" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("outputs", "result", "told"),
    [
        (["a", "b"], 5, "declares 2 outputs .a, b., .* list or tuple of 2, but it returned a int"),
        (["a", "b"], (1, 2, 3), "returned a tuple of 3"),
        (["a"], [], "returned a list of 0"),
        (["a", "b"], {"a": 1, "b": 2}, "returned a dict"),
        (["a", "b"], "xy", "returned a str"),
        ({"k": "a"}, {"l": "secret"}, "with the keys k, but it returned a dict with the keys l"),
        ({"k": "a"}, {}, r"with the keys \(none\)"),
        ({"k": "a"}, ["secret"], "with the keys k, but it returned a list"),
        ({"k": "a"}, None, "returned a NoneType"),
    ],
)
def test_a_result_unlike_the_outputs_is_an_error_without_values(outputs, result, told):
    made = node(lambda: result, None, outputs, name="the_node")
    with pytest.raises(PipelineError, match=told) as caught:
        made.unpack(result)
    assert "the_node" in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(PipelineError, match=told):
        made.run()


def test_results_come_in_the_order_of_the_outputs():
    assert tuple(unpack_outputs("n", "a", [1, 2])) == ([1, 2],)
    assert tuple(unpack_outputs("n", ("a", "b"), [1, 2])) == (1, 2)
    assert tuple(unpack_outputs("n", {"k": "a", "l": "b"}, {"l": 2, "k": 1})) == (1, 2)
    assert tuple(unpack_outputs("n", None, None)) == ()


def test_a_value_returned_without_declared_outputs_is_ignored_with_a_warning():
    with pytest.warns(UserWarning, match="node 'n' declares no outputs but its function returned a int"):
        assert node(identity, "a", None, name="n").run({"a": 3}) == {}


def test_values_become_positional_or_keyword_arguments():
    assert bind_inputs(None, []) == ([], {})
    assert bind_inputs("a", [1]) == ([1], {})
    assert bind_inputs(("a", "b"), [1, 2]) == ([1, 2], {})
    assert bind_inputs({"x": "a", "y": "b"}, [1, 2]) == ((), {"x": 1, "y": 2})


def test_a_dataset_name_with_dots_outside_of_its_namespace_is_told_once_in_a_process():
    code = """
import logging
logging.basicConfig(format="%(message)s")
from kernel.nodes import node
node(str, "ns.a", "ns.b", namespace="ns")
node(str, "params:a.b", "x")
for at in range(3):
    node(str, "other.a", "b")
"""
    told = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stderr
    assert told.count("dots stand for namespaces") == 1
    assert "'other.a'" in told


def test_shortcuts_go_to_the_policy_and_outrank_it():
    made = node(identity, "a", "b", policy=Policy(timeout=5, retries=1), retries=2, resources={"gpu": 1})
    assert made.policy == Policy(timeout=5, retries=2, resources={"gpu": 1})
    assert node(identity, "a", "b").policy == Policy()
    assert node(identity, "a", "b", executor="threads", fresh_process=True, death_retries=0).policy == Policy(
        executor="threads", fresh_process=True, death_retries=0
    )
    with pytest.raises(TypeError):
        node(identity, "a", "b", timout=3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"timeout": -1},
        {"timeout": True},
        {"timeout": float("inf")},
        {"timeout": "5"},
        {"retries": -1},
        {"retries": 1.5},
        {"retries": True},
        {"retries": None},
        {"death_retries": -1},
        {"resources": ["gpu"]},
        {"resources": {"": 1}},
        {"resources": {3: 1}},
        {"resources": {"gpu": -1}},
        {"resources": {"gpu": "one"}},
        {"resources": {"gpu": float("nan")}},
        {"executor": ""},
        {"executor": 3},
        {"fresh_process": 1},
    ],
)
def test_a_policy_that_makes_no_sense_is_refused_and_the_field_and_node_are_named(wrong):
    (field,) = wrong
    with pytest.raises(PipelineError, match=field):
        Policy(**wrong)
    with pytest.raises(PipelineError, match=f"node 'the_node': {field}"):
        node(identity, "a", "b", name="the_node", **wrong)


def test_a_policy_is_frozen_hashable_and_picklable():
    resources = {"gpu": 1}
    policy = Policy(resources=resources)
    resources["gpu"] = 2
    assert policy.resources == {"gpu": 1}
    with pytest.raises(TypeError):
        policy.resources["gpu"] = 3
    with pytest.raises(AttributeError):
        policy.retries = 3
    assert pickle.loads(pickle.dumps(policy)) == policy
    assert len({policy, Policy(resources={"gpu": 1}), Policy()}) == 2


async def waits(x):
    return x


async def waits_often(x):
    yield x


@pytest.mark.parametrize("function", [waits, waits_often])
def test_an_async_function_is_refused_for_nobody_would_await_it(function):
    with pytest.raises(PipelineError, match=f"node {function.__name__}.*its function is async.*asyncio.run"):
        node(function, "x", "y")
