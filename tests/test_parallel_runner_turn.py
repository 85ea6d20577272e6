"""One node's turn: what happens in which order, and what listeners can change."""

from __future__ import annotations

import pytest

import parallel_nodes as nodes
from kernel import hookimpl, node, pipeline, run
from kernel.errors import DatasetError, HookError, NodeError, PipelineError

EXECUTORS = ["sequential", "threads", "process_pool"]
every_executor = pytest.mark.parametrize("executor", EXECUTORS)


def split(a, b):
    return a + b, a - b


def keyed(*, second, first):
    return first - second


def heard_of(log, name):
    return [(each["hook"], each.get("dataset")) for each in nodes.records(log) if each.get("node") == name]


@every_executor
def test_loads_then_the_function_then_saves_each_between_its_hooks(tmp_path, executor):
    log = tmp_path / "log"
    flow = pipeline([node(split, ["y", "x"], ["sum", "difference"], name="split")])
    run(flow, {"x": 1, "y": 5}, executor=executor, hooks=[nodes.Recorder(log)])
    assert heard_of(log, "split") == [
        ("before_dataset_loaded", "y"),
        ("after_dataset_loaded", "y"),
        ("before_dataset_loaded", "x"),
        ("after_dataset_loaded", "x"),
        ("before_node_run", None),
        ("after_node_run", None),
        ("before_dataset_saved", "sum"),
        ("after_dataset_saved", "sum"),
        ("before_dataset_saved", "difference"),
        ("after_dataset_saved", "difference"),
    ]


@every_executor
def test_inputs_by_argument_are_loaded_in_the_order_of_the_signature_and_one_named_twice_twice(tmp_path, executor):
    log = tmp_path / "log"
    flow = pipeline(
        [
            node(keyed, {"first": "x", "second": "y"}, "z", name="keyed"),
            node(nodes.add, ["x", "x"], "xx", name="twice"),
        ]
    )
    result = run(flow, {"x": 7, "y": 2}, executor=executor, hooks=[nodes.Recorder(log)])
    loads = {
        name: [dataset for hook, dataset in heard_of(log, name) if hook == "before_dataset_loaded"]
        for name in ("keyed", "twice")
    }
    assert loads == {"keyed": ["y", "x"], "twice": ["x", "x"]}
    assert dict(result) == {"z": 5, "xx": 14}


@every_executor
def test_a_node_that_fails_is_told_once_and_saves_nothing(tmp_path, executor):
    log = tmp_path / "log"
    with pytest.raises(NodeError):
        run(
            pipeline([node(nodes.boom, "x", "y", name="bad")]),
            {"x": 1},
            executor=executor,
            hooks=[nodes.Recorder(log)],
        )
    assert [hook for hook, _ in heard_of(log, "bad")] == [
        "before_dataset_loaded",
        "after_dataset_loaded",
        "before_node_run",
        "on_node_error",
    ]


def gives_one(x):
    return (x,)


@every_executor
def test_a_result_unlike_the_declared_outputs_is_told_as_the_nodes_error(tmp_path, executor):
    log = tmp_path / "log"
    with pytest.raises(NodeError, match="declares 2 outputs") as caught:
        run(
            pipeline([node(gives_one, "x", ["y", "z"], name="short")]),
            {"x": 1},
            executor=executor,
            hooks=[nodes.Recorder(log)],
        )
    assert isinstance(caught.value.cause, PipelineError)
    assert "on_node_error" in [hook for hook, _ in heard_of(log, "short")]


@every_executor
def test_a_listener_replaces_inputs_and_the_one_registered_first_wins(executor):
    hooks = [nodes.Replaces({"x": 10}), nodes.Replaces({"x": 20, "y": 30}), nodes.Replaces(None)]
    flow = pipeline([node(nodes.add, ["x", "y"], "z", name="add")])
    assert run(flow, {"x": 1, "y": 2}, executor=executor, hooks=hooks)["z"] == 40


@every_executor
def test_a_replaced_input_stays_in_that_turn(executor):
    flow = pipeline([node(nodes.same, "x", "y", name="first"), node(nodes.same, "x", "z", name="second")])

    class OnlyFirst:
        @hookimpl
        def before_node_run(self, node):
            return {"x": 99} if node.name == "first" else None

    assert dict(run(flow, {"x": 1}, executor=executor, hooks=[OnlyFirst()])) == {"y": 99, "z": 1}


@every_executor
def test_the_mapping_that_listeners_get_is_a_copy_but_its_values_are_those_of_the_node(executor):
    class Meddles:
        @hookimpl
        def before_node_run(self, inputs):
            inputs["x"].append(2)
            inputs["x"] = "no effect"
            inputs["other"] = "no effect"

    flow = pipeline([node(nodes.same, "x", "y", name="copy")])
    given = [1]
    assert run(flow, {"x": given}, executor=executor, hooks=[Meddles()])["y"] == [1, 2]
    assert given == [1]


@every_executor
@pytest.mark.parametrize("answer", [[("x", 1)], "x", 5])
def test_any_other_answer_of_a_listener_is_an_error_that_names_it_the_node_and_the_type(executor, answer):
    flow = pipeline([node(nodes.same, "x", "y", name="copy")])
    with pytest.raises(NodeError) as caught:
        run(flow, {"x": 1}, executor=executor, hooks=[nodes.Replaces(answer)])
    assert caught.value.node == "copy"
    assert isinstance(caught.value.cause, HookError)
    for part in ("Replaces", "'copy'", type(answer).__name__, "dict"):
        assert part in str(caught.value)


@every_executor
def test_an_answer_for_what_is_no_input_is_an_error_with_the_inputs_there_are(executor):
    flow = pipeline([node(nodes.same, "x", "y", name="copy")])
    with pytest.raises(NodeError, match=r"'z'.*'copy'.*'x'"):
        run(flow, {"x": 1}, executor=executor, hooks=[nodes.Replaces({"z": 1})])


class Looks:
    """Looks at what a listener to a node can see of the run's datasets."""

    @hookimpl
    def before_node_run(self, node, catalog, inputs):
        from kernel import note

        names = list(catalog.keys())
        note("keys", names)
        note("values", {name: catalog.load(name) for name in names})
        note("there", ["x" in catalog, catalog.exists("x"), "other" in catalog, catalog.exists("other")])
        try:
            catalog.load("other")
        except DatasetError as error:
            note("error", str(error))


@every_executor
def test_the_catalog_of_a_listener_shows_the_nodes_inputs_and_the_declared_datasets(tmp_path, executor):
    file = nodes.FileDataset(tmp_path / "file")
    file.save("saved")
    flow = pipeline(
        [
            node(nodes.same, "x", "y", name="look"),
            node(nodes.nothing, "file", None, name="other"),
            node(nodes.nothing, "other", None, name="another"),
        ]
    )
    result = run(flow, {"x": 1, "other": 2, "file": file}, executor=executor, hooks=[Looks()])
    (notes,) = [each.notes for each in result.report.tasks if each.node == "look"]
    assert notes["keys"] == ["file", "x"]
    assert notes["values"] == {"file": "saved", "x": 1}
    assert notes["there"] == [True, True, False, False]
    assert notes["error"].startswith("other: ")


@every_executor
def test_listeners_get_the_node_with_all_that_was_declared(executor):
    class Describes:
        @hookimpl
        def after_node_run(self, node):
            from kernel import note

            note("node", (node.name, node.namespace, sorted(node.tags), node.inputs, node.outputs, str(node)))

    flow = pipeline([node(nodes.add, ["x", "y"], "z", name="add", namespace="deep.down", tags=["b", "a"])])
    (report,) = run(flow, {"x": 1, "y": 2}, executor=executor, hooks=[Describes()]).report.tasks
    assert report.notes["node"] == (
        "deep.down.add",
        "deep.down",
        ["a", "b"],
        ("x", "y"),
        ("z",),
        "deep.down.add: add([x;y]) -> [z]",
    )


@every_executor
def test_a_listener_keeps_its_state_from_node_to_node_of_a_worker(executor):
    class Counts:
        def __init__(self):
            self.count = 0

        @hookimpl
        def before_node_run(self):
            from kernel import note

            self.count += 1
            note("count", self.count)

    flow = pipeline([node(nodes.same, "x", f"y_{n}", name=f"n_{n}") for n in range(5)])
    result = run(flow, {"x": 1}, executor=executor, workers=1, hooks=[Counts()])
    assert [each.notes["count"] for each in result.report.tasks] == [1, 2, 3, 4, 5]
