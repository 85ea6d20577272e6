"""Which nodes have to run: to go on after a failure, and when only what is missing is to be made."""

from __future__ import annotations

import pytest

import parallel_nodes as nodes
from kernel import node, pipeline
from kernel.resume import missing_nodes, resume_from


def plan_of(*made):
    return pipeline([node(nodes.nothing, inputs, outputs, name=name) for name, inputs, outputs in made]).plan


def names(plan, indices):
    return sorted(plan.nodes[index].name for index in indices)


CHAIN = plan_of(("a", "x", "p"), ("b", "p", "q"), ("c", "q", "r"), ("d", "r", "s"))


@pytest.mark.parametrize(
    ("done", "kept", "start"),
    [
        ([], "pqrs", ()),
        ([0], "pqrs", ("b",)),
        ([0, 1, 2], "pqrs", ("d",)),
        ([0, 1, 2], "pq", ("c",)),
        ([0, 1, 2], "p", ("b",)),
        ([0, 1, 2], "", ("a",)),
    ],
)
def test_the_way_back_goes_over_what_is_not_persisted(done, kept, start):
    assert resume_from(CHAIN, done, set(kept).__contains__) == start


def test_only_what_comes_first_is_named_for_all_after_it_runs_anyway():
    plan = plan_of(("a", "x", "p"), ("b", "x", "q"), ("c", ["p", "q"], "r"), ("d", "r", "s"))
    assert resume_from(plan, [0, 1], set("pq").__contains__) == ("c",)
    assert resume_from(plan, [0, 1], set("p").__contains__) == ("b",)
    assert resume_from(plan, [0], set("pq").__contains__) == ("b",)
    assert resume_from(plan, [0, 1], set().__contains__) == ("a", "b")


def test_what_comes_after_a_node_that_runs_again_needs_its_inputs_too():
    # `b` runs again for `c`; so does `d`, which comes after `b`, and for it `e`, whose output is not kept.
    plan = plan_of(("b", "x", "p"), ("c", "p", "q"), ("d", ["p", "m"], "r"), ("e", "x", "m"))
    done = [plan.index[name] for name in ("b", "d", "e")]
    assert resume_from(plan, done, set("r").__contains__) == ("b", "e")


def missing(plan, persistent, existing):
    reasons = missing_nodes(plan, set(persistent).__contains__, set(existing).__contains__)
    return names(plan, reasons)


@pytest.mark.parametrize(
    ("persistent", "existing", "run"),
    [
        ("pqrs", "pqrs", []),
        ("pqrs", "pqr", ["d"]),
        ("pqrs", "prs", ["b"]),
        ("pqs", "pq", ["c", "d"]),
        ("pqs", "pqs", []),
        ("ps", "p", ["b", "c", "d"]),
        ("pqr", "pqr", ["d"]),
        ("", "", ["a", "b", "c", "d"]),
    ],
)
def test_a_node_runs_for_a_missing_output_or_for_a_child_that_needs_what_is_not_there(persistent, existing, run):
    assert missing(CHAIN, persistent, existing) == run


def test_a_node_without_outputs_always_runs_and_takes_its_parents_in_memory_along():
    plan = plan_of(("a", "x", "p"), ("b", "p", "q"), ("c", "q", None))
    assert missing(plan, "pq", "pq") == ["c"]
    assert missing(plan, "p", "p") == ["b", "c"]


def test_a_free_output_in_memory_is_always_made():
    plan = plan_of(("a", "x", "p"), ("b", "p", "q"), ("c", "p", "r"))
    assert missing(plan, "pr", "pr") == ["b"]


def test_two_forms_of_one_dataset_are_one():
    plan = plan_of(("a", "x", "m@save"), ("b", "m@load", "q"))
    assert missing(plan, ["q"], []) == ["a", "b"]
    assert missing(plan, ["m@save", "m@load", "q"], ["m@save", "m@load"]) == ["b"]
    assert missing(plan, ["m@save", "m@load", "q"], []) == ["a", "b"]


def test_each_node_that_runs_has_a_reason_that_names_the_dataset():
    plan = plan_of(("a", "x", "p"), ("b", "p", "q"), ("c", "q", None), ("d", "p", "out"))
    reasons = missing_nodes(plan, set("q").__contains__, set().__contains__)
    told = {plan.nodes[index].name: reason for index, reason in reasons.items()}
    assert "'p'" in told["a"]
    assert told["b"] == "its output 'q' does not exist"
    assert told["c"] == "it has no outputs"
    assert "'out'" in told["d"]
