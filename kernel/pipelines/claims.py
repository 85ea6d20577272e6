"""What no two nodes of a pipeline may both claim: names, outputs, confirms, forms of a dataset's name."""

from __future__ import annotations

from collections import Counter
from itertools import chain, product, starmap
from operator import attrgetter
from typing import TYPE_CHECKING

from attrs import frozen

from kernel.errors import PipelineError
from kernel.pipelines.dag import base_names, build_dag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from kernel.nodes import Node
    from kernel.pipelines.dag import Dag

__all__ = ["Claims", "all_clashes", "claims_of", "joined", "may_loop", "meant", "refuse", "sound_dag"]


@frozen(eq=False, repr=False)
class Claims:
    """Some nodes by name; who makes and who reads which dataset (by base name), who confirms which.

    `transcoded` are the datasets that are named with a form, `awaited` the node names in `after`. Never
    changed, so that sums of pipelines can share them.
    """

    nodes: dict[str, Node]
    makers: dict[str, str]
    readers: frozenset[str]
    confirmers: dict[str, str]
    transcoded: frozenset[str]
    awaited: frozenset[str]


def sound_dag(nodes: Sequence[Node], loose: Sequence[Node]) -> Dag:
    """Order nodes; PipelineError with all that is wrong: what two of them claim, cycles, and unknown `after`.

    Those that `loose` ones name in `after` must be among the nodes.
    """
    try:
        dag, cycles = build_dag(nodes), []
    except PipelineError as error:
        dag, cycles = None, [str(error)]
    if dag is None or not _is_plain(dag) or any(map(_after_of, loose)):
        problems: list[str] = []
        claims = claims_of(nodes, problems)
        refuse([*problems, *unknown_after(loose, claims.nodes), *cycles])
    assert dag is not None
    return dag


_after_of, _confirms_of = attrgetter("after"), attrgetter("confirms")


def _is_plain(dag: Dag) -> bool:
    """Say whether a glance at the columns shows that no two nodes claim the same."""
    outputs = sum(map(len, dag.outputs))
    names = len(dag.index) == len(dag.nodes)
    return names and len(dag.made) == outputs and not dag.bases and not any(map(_confirms_of, dag.nodes))


def claims_of(nodes: Sequence[Node], problems: list[str]) -> Claims:
    """Collect what nodes claim; what two of them claim, or name with and without form, goes to `problems`."""
    named = {node.name: node for node in nodes}
    if len(named) < len(nodes):
        twice = sorted(name for name, count in Counter(node.name for node in nodes).items() if count > 1)
        problems.append(
            f"node names must be unique, but these occur more than once: {', '.join(twice)}. Give each node its name"
        )
    bases = base_names(nodes)
    makers: dict[str, str] = {}
    confirmers: dict[str, str] = {}
    for node in nodes:
        for name in node.output_names:
            _claim(makers, bases.get(name, name) if bases else name, node, "output", "is made by", problems)
        for name in node.confirms:
            _claim(confirmers, name, node, "dataset", "is confirmed by", problems)
    read = frozenset(chain.from_iterable([node.input_names for node in nodes]))
    if bases:
        plain = (read | set(chain.from_iterable([node.output_names for node in nodes]))) - bases.keys()
        problems += map(_two_forms, sorted(plain.intersection(bases.values())))
        read = frozenset(bases.get(name, name) for name in read)
    awaited = frozenset(name for node in nodes for name in node.after)
    return Claims(named, makers, read, confirmers, frozenset(bases.values()), awaited)


def _claim(owners: dict[str, str], name: str, node: Node, what: str, done: str, problems: list[str]) -> None:
    owner = owners.setdefault(name, node.name)
    if owner is not node.name and owner != node.name:
        problems.append(_two_owners(what, name, done, owner, node.name))


def _two_owners(what: str, name: str, done: str, one: str, other: str) -> str:
    return f"{what} {name!r} {done} two nodes, {one!r} and {other!r}; only one of them may"


def _two_forms(name: str) -> str:
    return f"dataset {name!r} is used both with and without '@'; add a form everywhere or nowhere"


def _clashes(one: Claims, other: Claims) -> Iterator[str]:
    """Say what two sets of nodes both claim; a node that is in both is no clash."""
    for name in sorted(one.nodes.keys() & other.nodes.keys()):
        if one.nodes[name] != other.nodes[name]:
            yield f"node names must be unique, but {name!r} stands for two nodes with other inputs or outputs"
    for name in sorted(one.makers.keys() & other.makers.keys()):
        if one.makers[name] != other.makers[name]:
            yield _two_owners("output", name, "is made by", one.makers[name], other.makers[name])
    for name in sorted(one.confirmers.keys() & other.confirmers.keys()):
        if one.confirmers[name] != other.confirmers[name]:
            yield _two_owners("dataset", name, "is confirmed by", one.confirmers[name], other.confirmers[name])
    for mine, theirs in ((one, other), (other, one)):
        for name in sorted(mine.transcoded - theirs.transcoded):
            if name in theirs.makers or name in theirs.readers:
                yield _two_forms(name)


def all_clashes(mine: Iterable[Claims], theirs: Sequence[Claims]) -> list[str]:
    """Say, each thing once, what two pipelines in parts both claim."""
    pairs = product(mine, theirs)
    return list(dict.fromkeys(chain.from_iterable(starmap(_clashes, pairs))))


def joined(mine: Iterable[Claims], theirs: Iterable[Claims]) -> tuple[Claims, ...]:
    """Join two pipelines in parts that do not clash; of equal nodes the first stays.

    The parts are few, each larger than the next, so that a sum of many pipelines copies each node a
    logarithmic number of times.
    """
    parts = list(mine)
    for part in theirs:
        parts.append(part)
        while len(parts) > 1 and len(parts[-1].nodes) * 2 >= len(parts[-2].nodes):
            parts[-2:] = [_merged(parts[-2], parts[-1])]
    return tuple(parts)


def _merged(one: Claims, other: Claims) -> Claims:
    return Claims(
        other.nodes | one.nodes,
        other.makers | one.makers,
        one.readers | other.readers,
        other.confirmers | one.confirmers,
        one.transcoded | other.transcoded,
        one.awaited | other.awaited,
    )


def may_loop(mine: Sequence[Claims], theirs: Sequence[Claims]) -> bool:
    """Say whether a cycle through two pipelines is possible: each has a node that waits for the other."""
    return any(starmap(_follows, product(mine, theirs))) and any(starmap(_follows, product(theirs, mine)))


def _follows(later: Claims, earlier: Claims) -> bool:
    return not (earlier.makers.keys().isdisjoint(later.readers) and earlier.nodes.keys().isdisjoint(later.awaited))


def unknown_after(nodes: Iterable[Node], named: Mapping[str, Node]) -> list[str]:
    """Say which nodes are to run after a node that is not there."""
    return [
        f"node {node.name!r} is to run after {name!r}, which is not in this pipeline{meant(name, named)}"
        for node in nodes
        for name in node.after
        if name not in named
    ]


def meant(name: str, known: Iterable[str]) -> str:
    """Return '; did you mean ...?' with names that are like this one or have it under a namespace, or ''."""
    names = sorted(known)
    inside = [each for each in names if each.endswith(f".{name}")]
    from difflib import get_close_matches  # noqa: PLC0415 - seldom needed, and it would slow every start

    found = list(dict.fromkeys([*inside[:3], *get_close_matches(name, names, n=3)]))
    return f"; did you mean {' or '.join(map(repr, found[:3]))}?" if found else ""


def refuse(problems: Sequence[str]) -> None:
    """Raise one PipelineError with all problems, if there are any."""
    if len(problems) == 1:
        raise PipelineError(problems[0])
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise PipelineError(f"{len(problems)} problems with this pipeline:\n{listed}")
