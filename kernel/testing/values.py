"""What becomes of values on their way through a run: they arrive right, and no consumer sees another's changes."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from kernel import Node, Pipeline, node
from kernel.errors import NodeError
from kernel.testing import functions
from kernel.testing.kept import Checkpoint, Kept
from kernel.testing.kinds import CHANGEABLE, VALUES, same

if TYPE_CHECKING:
    from kernel.testing.bench import Bench

__all__ = ["ValueRules"]


def _random_graph(seed: int, size: int = 40) -> tuple[list[Node], dict[str, int]]:
    """Make a graph of additions, its nodes in no order, and what each should come to."""
    chance = random.Random(seed)
    values = {"free": chance.randrange(100)}
    nodes: list[Node] = []
    for at in range(size):
        inputs = chance.sample(sorted(values), min(len(values), chance.randrange(4)))
        nodes.append(node(functions.add, inputs or None, f"v{at}", name=f"n{at}"))
        values[f"v{at}"] = sum(values[name] for name in inputs) + 1
    chance.shuffle(nodes)
    return nodes, values


class ValueRules:
    """Values, copies, datasets, generators, asynchronous runs."""

    @pytest.mark.parametrize("seed", range(5))
    def test_a_random_graph_comes_to_what_it_should(self, bench: Bench, seed: int) -> None:
        nodes, expected = _random_graph(seed)
        with bench.run(nodes, {"free": expected["free"]}) as result:
            assert dict(result) == {name: expected[name] for name in result}
            assert set(result) == set(Pipeline(nodes).plan.free_outputs)

    def test_three_hundred_small_nodes_each_bring_their_own_value(self, bench: Bench) -> None:
        values = {f"i{at}": at for at in range(300)}
        with bench.run([node(functions.pass_on, f"i{at}", f"o{at}") for at in range(300)], values) as result:
            assert dict(result) == {f"o{at}": at for at in range(300)}
            assert len(result.report.tasks) == 300

    def test_values_of_many_types_arrive_as_they_are(self, bench: Bench) -> None:
        free = {f"params:{name}": make() for name, make in VALUES.items() if name != "None"}
        nodes = [node(functions.pass_on, name, f"made {name}") for name in free]
        nodes += [node(functions.pass_on, f"made {name}", f"again {name}") for name in free]
        with bench.run(nodes, free, workers=1) as result:
            wrong = [name for name, value in free.items() if not same(result[f"again {name}"], value)]
            assert not wrong

    def test_a_parameter_may_be_none(self, bench: Bench) -> None:
        with bench.run([node(functions.kind, "params:none", "kind")], {"params:none": None}) as result:
            assert result["kind"] == "NoneType"

    def test_names_may_be_of_any_language(self, bench: Bench) -> None:
        nodes = [
            node(functions.add, ["flüge", "数"], "итог", name="añadir"),
            node(functions.add, "итог", "\U0001f6eb", name="後"),
        ]
        with bench.run(nodes, {"flüge": 1, "数": 2}) as result:
            assert dict(result) == {"\U0001f6eb": 5}
            assert [report.node for report in result.report.tasks] == ["añadir", "後"]

    def test_inputs_and_outputs_may_be_named_by_mappings_or_left_out(self, bench: Bench) -> None:
        nodes = [
            node(functions.constant, None, "one"),
            node(functions.nothing, "one", None),
            node(functions.read_second, {"value": "one"}, "same"),
            node(functions.pair, "one", ["value", "kind"]),
        ]
        with bench.run(nodes) as result:
            assert dict(result) == {"same": 1, "value": 1, "kind": "int"}

    # -- isolation ------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize("kind", CHANGEABLE)
    def test_a_consumer_may_change_its_input_and_nobody_else_sees_it(self, bench: Bench, kind: str) -> None:
        make = CHANGEABLE[kind]
        nodes = [
            node(functions.pass_on, "free", "made", name="make"),
            node(functions.change, "made", "changed 1", name="change_1"),
            node(functions.read_second, ["made", "changed 1"], "seen 1", name="read_1"),
            node(functions.change, ["made", "seen 1"], "changed 2", name="change_2"),
            node(functions.read_second, ["made", "changed 2"], "seen 2", name="read_2"),
            node(functions.pass_on, "seen 1", "out 1", name="pass_1"),
        ]
        with bench.run(nodes, {"free": make()}) as result:
            assert same(result["out 1"], make())
            assert same(result["seen 2"], make())

    @pytest.mark.parametrize("kind", CHANGEABLE)
    def test_the_values_that_a_run_was_given_stay_as_they_were(self, bench: Bench, kind: str) -> None:
        make = CHANGEABLE[kind]
        given = make()
        nodes = [
            node(functions.change, "free", "changed", name="change"),
            node(functions.read_second, ["free", "changed"], "seen", name="read"),
        ]
        with bench.run(nodes, {"free": given}) as result:
            assert same(result["seen"], make())
        assert same(given, make())

    def test_what_a_producer_holds_on_to_is_its_own(self, bench: Bench) -> None:
        nodes = [
            node(functions.same_object_again, "key", "made", name="make"),
            node(functions.change, "made", "changed", name="change"),
            node(functions.same_object_again, ["key", "changed"], "made again", name="make_again"),
        ]
        with bench.run(nodes, {"key": str(bench.folder)}, workers=1) as result:
            assert result["made again"] == [1, 2, 3]

    def test_the_last_of_two_readers_sees_what_was_made_even_if_both_change_it(self, bench: Bench) -> None:
        nodes = [
            node(functions.pass_on, "free", "made", name="make"),
            node(functions.change, "made", "a", name="a"),
            node(functions.change, ["made", "a"], "b", name="b"),
            node(functions.pass_on, "made", "c", name="c"),
        ]
        with bench.run(nodes, {"free": [1, 2]}, workers=1) as result:
            assert result["c"] == [1, 2]

    def test_each_look_at_an_output_gives_a_value_of_its_own(self, bench: Bench) -> None:
        with bench.run([node(functions.pass_on, "free", "made")], {"free": [1, 2]}) as result:
            result["made"].append(3)
            assert result["made"] == [1, 2]

    # -- datasets, generators, asynchronous runs ------------------------------------------------------------------

    @pytest.mark.parametrize("is_async", [False, True], ids=["in turn", "asynchronously"])
    def test_persistent_datasets_join_nodes(self, bench: Bench, is_async: bool) -> None:
        kept = {name: Kept(str(bench.folder / name)) for name in ("in", "between", "more", "out")}
        kept["in"].save([5])
        nodes = [
            node(functions.pair, "in", ["between", "more"], name="first"),
            node(functions.pair, "between", ["out", "kind"], name="second"),
        ]
        with bench.run(nodes, kept, is_async=is_async) as result:
            assert dict(result) == {"more": "list", "out": [5], "kind": "list"}
        assert kept["between"].load() == kept["out"].load() == [5]

    def test_what_was_loaded_is_confirmed_once_its_node_is_done(self, bench: Bench) -> None:
        good, bad = (Checkpoint(str(bench.folder / name)) for name in ("good", "bad"))
        good.save([1, 2, 3])
        bad.save([1, 2])
        nodes = [
            node(functions.pass_on, "good", "kept", confirms="good", name="a"),
            node(functions.fail, ["bad", "kept"], "never", confirms="bad", name="b"),
        ]
        with pytest.raises(NodeError):
            bench.run(nodes, {"good": good, "bad": bad})
        assert good.confirmed() == "3"
        assert bad.confirmed() == ""

    def test_a_generator_leaves_its_last_chunk(self, bench: Bench) -> None:
        kept = Kept(str(bench.folder / "kept"))
        nodes = [
            node(functions.chunks, "number", "in memory"),
            node(functions.chunks, "number", "kept"),
            node(functions.add, "in memory", "sum"),
        ]
        with bench.run(nodes, {"number": 3, "kept": kept}) as result:
            assert (result["sum"], kept.load()) == (4, 3)

    def test_a_generator_that_yields_nothing_fails(self, bench: Bench) -> None:
        with pytest.raises(NodeError, match="yielded nothing"):
            bench.run([node(functions.chunks, "number", "v", name="n")], {"number": 0})

    def test_outputs_can_be_read_when_the_workers_are_gone(self, bench: Bench) -> None:
        make = VALUES["bytes of 8 MB"]
        with bench.run_cold(
            [node(functions.pass_on, "free", "made"), node(functions.constant, None, "one")], {"free": make()}
        ) as result:
            assert (result["made"], result["one"]) == (make(), 1)
