"""No consumer sees what another did to a value: in whatever order they come, wherever each of them runs."""

from __future__ import annotations

from itertools import permutations

import pytest

import fault_nodes as nodes
from kernel import Runner, node, pipeline
from kernel.testing.kinds import CHANGEABLE, VALUES, same

pytestmark = pytest.mark.timeout(60)

KINDS = {**CHANGEABLE, **{kind: VALUES[kind] for kind in ("nested", "frame", "long frame")}}


@pytest.fixture(scope="module", params=[1, 2], ids=["one worker", "two workers"])
def pool(request):
    with Runner("process_pool", workers=request.param) as runner:
        yield runner


def consumers(order):
    """Return nodes that read `made` one after another in this order: two that change it, and one that does not."""
    steps, before = [], []
    for name in order:
        function = nodes.same if name == "look" else nodes.spoil
        steps.append(node(function, ["made", *before], name, name=name))
        before = [name]
    return steps


@pytest.mark.parametrize("order", list(permutations(["spoil_1", "spoil_2", "look"])), ids="-".join)
@pytest.mark.parametrize("kind", KINDS)
def test_in_every_order_of_consumers_each_sees_what_was_made(pool, kind, order):
    make = KINDS[kind]
    given = make()
    steps = [node(nodes.same, "given", "made", name="make"), *consumers(order), node(nodes.same, "made", "last")]
    steps += [node(nodes.same, name, f"seen by {name}") for name in order]
    with pool.run(pipeline(steps), {"given": given}) as result:
        assert same(result["last"], make())
        assert same(result["seen by look"], make())
        spoilt = make()
        nodes.spoil(spoilt)
        assert same(result["seen by spoil_1"], spoilt), "changed twice, or not at all"
        assert same(result["seen by spoil_2"], spoilt)
    assert same(given, make()), "what the run was given"


@pytest.mark.parametrize("kind", KINDS)
def test_along_a_chain_each_change_is_seen_by_those_after_it_alone(pool, kind):
    make = KINDS[kind]
    given, spoilt = make(), make()
    steps = [
        node(nodes.spoil, "given", "v0", name="n0"),
        *(node(nodes.same, f"v{at}", f"v{at + 1}") for at in range(5)),
    ]
    steps += [node(nodes.spoil, "v3", "side", name="side"), node(nodes.same, "side", "beside")]
    nodes.spoil(spoilt)
    twice = make()
    nodes.spoil(nodes.spoil(twice))
    with pool.run(pipeline(steps), {"given": given}) as result:
        assert same(result["v5"], spoilt)
        assert same(result["beside"], twice)
    assert same(given, make()), "what the run was given"


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_node_keeps_and_changes_later_is_not_what_its_readers_see(pool, kind):
    make = KINDS[kind]
    steps = [
        node(nodes.keep, "given", "made", name="make"),
        node(nodes.spoil_kept, ["made", "given"], "spoilt", name="spoil"),
        node(nodes.same, ["made", "spoilt"], "seen", name="look"),
    ]
    with pool.run(pipeline(steps), {"given": make()}) as result:
        assert same(result["seen"], make())
