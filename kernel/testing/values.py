"""What becomes of values on their way through a run: they arrive right, and no consumer sees another's changes."""

from __future__ import annotations

import random

import pytest

from kernel import Node, Pipeline, node
from kernel.testing import functions
from kernel.testing.bench import Bench
from kernel.testing.kept import Checkpoint, Kept
from kernel.testing.kinds import CHANGEABLE, VALUES, same

__all__ = ["ValueRules"]


def _random_graph(seed: int, size: int = 40) -> tuple[list[Node], dict[str, int]]:
    """Make a graph of additions, its nodes in no order, and what each should come to."""
    chance = random.Random(seed)
    values, nodes = {"free": chance.randrange(100)}, []
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
        with bench.run(nodes, free) as result:
            wrong = [name for name, value in free.items() if not same(result[f"again {name}"], value)]
            assert not wrong

    def test_a_parameter_may_be_none(self, bench: Bench) -> None:
        with bench.run([node(functions.pair, "params:none", ["_", "kind"])], {"params:none": None}) as result:
            assert False, result
