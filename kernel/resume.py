"""What has to run: after a failure, to go on from; and when only what is missing should be made. And what did not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from kernel.nodes.names import base_name

if TYPE_CHECKING:
    from kernel.pipelines import Plan

__all__ = ["missing_nodes", "resume_from", "skipped_for", "unfinished_nodes"]


def resume_from(plan: Plan, done: Iterable[int], is_persistent: Callable[[str], bool]) -> tuple[str, ...]:
    """Name the nodes to start from again after a run that did only `done`; empty when nothing was done.

    What must run is every node that was not done; with it, whoever made an input of it that was not persisted; and
    all that comes after those, since `--from-nodes` runs that too. The answer is what comes first among them.
    """
    finished = set(done)
    if not finished:
        return ()
    needed: set[int] = set()
    queue = [index for index in range(len(plan.nodes)) if index not in finished]
    while queue:
        index = queue.pop()
        if index in needed:
            continue
        needed.add(index)
        queue.extend(plan.children[index])
        queue.extend(plan.made[name] for name in plan.inputs[index] if name in plan.made and not is_persistent(name))
    first = (index for index in needed if not needed.intersection(plan.parents[index]))
    return tuple(sorted(plan.nodes[index].name for index in first))


def skipped_for(plan: Plan, failed: Iterable[int], skipped: Iterable[int]) -> dict[str, str]:
    """Return the names of nodes that were skipped, each with that of the failed node that it had to wait for."""
    parents, names = plan.parents, plan.node_names
    causes = {index: names[index] for index in failed}
    found: dict[str, str] = {}
    for index in skipped:  # in the order of the plan, so parents come first
        causes[index] = next(causes[parent] for parent in parents[index] if parent in causes)
        found[names[index]] = causes[index]
    return found


def missing_nodes(plan: Plan, is_persistent: Callable[[str], bool], exists: Callable[[str], bool]) -> dict[int, str]:
    """Say which nodes must run for every output to exist, each with the reason; looks at existence only.

    From the last node to the first: a node runs if it has no outputs, if a persistent output of it does not exist, if
    a free output of it lives in memory, or if a node that runs reads an output of it that is not there.
    """
    reasons: dict[int, str] = {}
    wanted: dict[str, str] = {}
    free_outputs = set(plan.free_outputs)
    for index in range(len(plan.nodes) - 1, -1, -1):
        reason = _reason(plan.outputs[index], free_outputs, wanted, is_persistent, exists)
        if reason is None:
            continue
        reasons[index] = reason
        for name in plan.inputs[index]:
            wanted.setdefault(base_name(name), plan.nodes[index].name)
    return reasons


def unfinished_nodes(plan: Plan, done: Collection[str], is_there: Callable[[str], bool]) -> list[str]:
    """Name the nodes that go on with a run which did those whose texts are in `done`.

    They are all others, and those that made what these need, or the run is to return, where it is not there any more.
    """
    unfinished: list[str] = []
    wanted = set(map(base_name, plan.free_outputs))
    for index in range(len(plan.nodes) - 1, -1, -1):
        needed = [name for name in plan.outputs[index] if base_name(name) in wanted]
        if str(plan.nodes[index]) not in done or not all(map(is_there, needed)):
            unfinished.append(plan.nodes[index].name)
            wanted.update(map(base_name, plan.inputs[index]))
    return unfinished


def _reason(
    outputs: Iterable[str],
    free_outputs: set[str],
    wanted: dict[str, str],
    is_persistent: Callable[[str], bool],
    exists: Callable[[str], bool],
) -> str | None:
    outputs = tuple(outputs)
    if not outputs:
        return "it has no outputs"
    for name in outputs:
        if is_persistent(name):
            if not exists(name):
                return f"its output {name!r} does not exist"
        elif name in free_outputs:
            return f"its output {name!r} is a result in memory"
        elif base_name(name) in wanted:
            return f"node {wanted[base_name(name)]!r} needs its output {name!r}, which is not persisted"
    return None
