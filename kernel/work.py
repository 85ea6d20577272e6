"""What one run is to do: what it was asked for, what of that is left to do, and what is found already."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING

from attrs import frozen

from kernel.errors import ValidationError
from kernel.pipelines import Pipeline
from kernel.resume import missing_nodes, resume_from, unfinished_nodes

if TYPE_CHECKING:
    from kernel.datasets import Datasets
    from kernel.specs.catalog import Found, Handle

__all__ = ["Work", "only_missing", "persistent_names"]

_log = logging.getLogger("kernel")


@frozen(eq=False)
class Work:
    """What a run was asked for, and the rest of it that an earlier run has left to do.

    `persistent` are those datasets of the whole that do not live in memory. `found` are the values of the earlier run
    that the rest needs or that the run returns, by name.
    """

    whole: Pipeline
    rest: Pipeline
    datasets: Datasets
    persistent: frozenset[str]
    found: Mapping[str, Handle]

    @property
    def returned(self) -> list[str]:
        """The free outputs that live in memory."""
        return [name for name in self.whole.plan.free_outputs if name not in self.persistent]

    def done(self, done: Iterable[int]) -> list[int]:
        """Return which nodes of the whole are done, of those of the rest that are: what is not left was done before."""
        whole, rest = self.whole.plan, self.rest.plan
        names = {rest.nodes[index].name for index in done}
        return [index for name, index in whole.index.items() if name in names or name not in rest.index]

    def resume(self, done: Collection[int]) -> tuple[str, ...]:
        """Name the nodes to start from again when only these of the whole are done, and say so in the log."""
        first = resume_from(self.whole.plan, done, self.persistent.__contains__)
        if first:
            left = len(self.whole.plan.nodes) - len(done)
            _log.info("%d nodes have not run. To go on from here: --from-nodes %r", left, ",".join(first))
        else:
            _log.info("No nodes ran. Repeat the previous command to attempt a new run.")
        return first

    @classmethod
    def after(cls, earlier: Found | None, pipeline: Pipeline, datasets: Datasets) -> Work:
        """Return what an earlier run, if there was one, has left; ValidationError if it was another pipeline's."""
        persistent = persistent_names(pipeline, datasets)
        if earlier is None:
            return cls(pipeline, pipeline, datasets, persistent, {})
        whole, values = pipeline.plan, earlier.values
        _check(earlier, whole.nodes)

        def is_there(name: str) -> bool:
            return datasets.exists(name) if name in persistent else name in values

        names = unfinished_nodes(whole, earlier.nodes, is_there)
        rest = pipeline.only_nodes(*names) if names else Pipeline([])
        _log.info("%d of %d nodes are done already.", len(whole.nodes) - len(names), len(whole.nodes))
        needed = {*rest.plan.free_inputs, *whole.free_outputs} & whole.made.keys() - rest.plan.made.keys()
        found = {name: values[name] for name in sorted(needed) if name in values}
        return cls(pipeline, rest, datasets, persistent, found)


def _check(earlier: Found, nodes: Iterable[object]) -> None:
    if strange := sorted(set(earlier.nodes).difference(map(str, nodes))):
        problem = (
            f"the run to go on with did {len(strange)} nodes that this one does not have, such as {strange[0]}: "
            f"it has to be the same pipeline, and the same selection of its nodes"
        )
        raise ValidationError([problem])


def persistent_names(pipeline: Pipeline, datasets: Datasets) -> frozenset[str]:
    """Return those of the pipeline's datasets that do not live in memory."""
    return frozenset(filter(datasets.is_persistent, datasets.declared_among(pipeline.plan.names)))


def only_missing(pipeline: Pipeline, datasets: Datasets) -> Pipeline:
    """Return what of the pipeline has to run for all of its outputs to exist."""
    plan = pipeline.plan
    reasons = missing_nodes(plan, datasets.is_persistent, datasets.exists)
    for index in sorted(reasons):
        _log.debug("Node %r runs: %s.", plan.nodes[index].name, reasons[index])
    skipped = sorted(node.name for index, node in enumerate(plan.nodes) if index not in reasons)
    if not reasons:
        _log.info("Skipping all %d nodes (all persistent outputs exist).", len(skipped))
    elif skipped:
        _log.info("Skipping %d nodes with existing outputs: %s.", len(skipped), ", ".join(skipped))
    return pipeline.only_nodes(*(plan.nodes[index].name for index in sorted(reasons))) if reasons else Pipeline([])
