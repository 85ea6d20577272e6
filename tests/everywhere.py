"""One pipeline on every executor: warm runners, and readers that share in a chain or do not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from kernel import Pipeline, Policy, Runner

#: What is said of a way -> its executor, and whether values are handed on in chains there.
WAYS = {
    "sequential": ("sequential", False),
    "threads": ("threads", False),
    "process_pool": ("process_pool", False),
    "process_pool, in chains": ("process_pool", True),
    "futures": ("futures", True),
}


class Everywhere:
    """Warm runners of all executors."""

    def __init__(self, runners):
        self._runners = runners

    def run(self, way: str, nodes, values):
        """Run a pipeline; where no chains are wanted, its nodes may be run again, so that they load all afresh."""
        executor, in_chains = WAYS[way]
        if executor == "process_pool" and not in_chains:
            nodes = [each.copy(policy=Policy(retries=1)) for each in nodes]
        return self._runners[executor].run(Pipeline(nodes), values)


@contextmanager
def everywhere() -> Iterator[Everywhere]:
    with ExitStack() as opened:
        names = dict.fromkeys(executor for executor, _ in WAYS.values())
        yield Everywhere({name: opened.enter_context(Runner(name, workers=2)) for name in names})
