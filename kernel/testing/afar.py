"""What matters once workers are far away: several runs at once, many large values, log records, what nodes ask for."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from kernel import node
from kernel.errors import ValidationError
from kernel.specs.executor import Reach
from kernel.testing import functions
from kernel.testing.suite import applies_if

if TYPE_CHECKING:
    from kernel.testing.bench import Bench

__all__ = ["FarRules"]

to_other_processes = applies_if(lambda suite: suite.capabilities.reach >= Reach.PROCESS)
with_resources = applies_if(lambda suite: "resources" in suite.capabilities.policies)


class FarRules:
    """Workers that serve many, and values that go a long way."""

    def test_two_runs_at_once_do_not_disturb_each_other(self, bench: Bench) -> None:
        names = [f"n{at}" for at in range(20)]
        nodes = [node(functions.add, "free", f"v{name}", name=name) for name in names]
        with bench.drive(nodes, {"free": 1}) as one, bench.drive(nodes, {"free": 100}) as other:
            for name in names:
                one.submit(name)
                other.submit(name)
            for drive, value in ((other, 101), (one, 2)):
                drive.collect(20)
                assert [drive.values(name) for name in names] == [[value]] * 20

    def test_many_large_values_come_and_go(self, bench: Bench) -> None:
        """A wide middle of values too large for a message each, all read twice."""
        count, size = 40, 300_000
        nodes = [node(functions.filled, ["size", f"i{at}"], f"made{at}", name=f"make{at}") for at in range(count)]
        nodes += [
            node(functions.total, [f"made{at}", f"made{(at + 1) % count}"], f"sum{at}", name=f"sum{at}")
            for at in range(count)
        ]
        values = {"size": size, **{f"i{at}": at for at in range(count)}}
        with bench.run(nodes, values) as result:
            assert dict(result) == {f"sum{at}": size * (at + (at + 1) % count) for at in range(count)}

    def test_large_values_go_down_a_chain(self, bench: Bench) -> None:
        nodes = [node(functions.filled, ["size", "start"], "v0", name="n0")]
        nodes += [node(functions.pass_on, f"v{at}", f"v{at + 1}", name=f"n{at + 1}") for at in range(12)]
        nodes += [node(functions.total, ["v4", "v12"], "sum", name="both_ends")]
        with bench.run(nodes, {"size": 300_000, "start": 3}) as result:
            assert result["sum"] == 2 * 3 * 300_000

    @to_other_processes
    def test_log_records_of_a_node_reach_the_runner(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        nodes = [node(functions.log, f"i{at}", f"o{at}", name=f"n{at}") for at in range(3)]
        with caplog.at_level(logging.INFO), bench.run(nodes, {f"i{at}": f"said {at}" for at in range(3)}):
            pass
        told = [record for record in caplog.records if record.name == functions.LOGGER]
        assert sorted(record.getMessage() for record in told) == ["said 0", "said 1", "said 2"]
        assert {record.levelname for record in told} == {"INFO"}

    @with_resources
    def test_what_no_worker_has_is_refused_before_anything_runs(self, bench: Bench) -> None:
        nodes = [
            node(functions.pass_on_counted, ["folder", "free"], "v", name="harmless"),
            node(functions.pass_on, "free", "w", name="greedy", resources={"cpu": 1e6, "unicorns": 1}),
        ]
        with pytest.raises(ValidationError) as caught:
            bench.run(nodes, {"folder": str(bench.folder), "free": 1})
        told = caught.value.problems
        assert [("greedy" in line, "cpu" in line or "unicorns" in line) for line in told] == [(True, True)] * 2
        assert bench.trace("ran") == 0

    @with_resources
    def test_a_node_that_asks_for_what_there_is_runs(self, bench: Bench) -> None:
        nodes = [node(functions.pass_on, "free", f"v{at}", name=f"n{at}", resources={"cpu": 1}) for at in range(4)]
        with bench.run(nodes, {"free": 1}) as result:
            assert dict(result) == {f"v{at}": 1 for at in range(4)}
