"""What makes a run impossible, found before anything runs: every complaint about nodes and datasets in one error."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from kernel.complaints import Complaints
from kernel.errors import ValidationError
from kernel.hooks.travel import unpicklable
from kernel.nodes.names import base_name
from kernel.several import part_of
from kernel.specs.executor import Reach
from kernel.values.pickling import by_value
from kernel.values.state import has_state

if TYPE_CHECKING:
    from kernel.datasets import Dataset, Datasets
    from kernel.hooks import Hooks
    from kernel.pipelines import Pipeline
    from kernel.specs.catalog import Catalog
    from kernel.specs.executor import Executor
    from kernel.work import Work

__all__ = ["check_resources", "distant_names", "validate", "validate_alone"]


def validate(work: Work, executor: Executor, catalog: Catalog, hooks: Hooks, *, is_async: bool) -> None:
    """Raise one `ValidationError` with all that is wrong; a wrong input comes before what follows from it."""
    pipeline, datasets = work.rest, work.datasets
    plan = pipeline.plan
    reach = executor.capabilities.reach
    values = {name: datasets.value(name) for name in plan.free_inputs if datasets.has_value(name)}
    complaints = Complaints()
    with complaints.collected():
        validate_alone(work, is_async=is_async)
    with complaints.collected():
        _raise(_datasets_out_of_reach(sorted(distant_names(work, executor)), datasets))
    with complaints.collected():
        in_memory = plan.in_memory_names(work.persistent)
        readers = {name: plan.free_readers[name] for name in values}
        catalog.validate_catalog(in_memory, values, reach, readers)
    with complaints.collected():
        _raise(_policies(pipeline, executor))
    with complaints.collected():
        executor.validate_nodes(plan.nodes)
    with complaints.collected():
        _raise(unpicklable(hooks.worker_refs()) if reach != Reach.THREAD else ())
    _raise(complaints.problems)
    _warn_of_state(values, datasets, plan.free_readers)


def _warn_of_state(values: Mapping[str, Any], datasets: Datasets, readers: Mapping[str, Sequence[str]]) -> None:
    """Warn of given values that change when they are read, where several nodes each get a copy."""
    for name, value in values.items():
        if len(readers[name]) > 1 and has_state(value) and datasets.copy_mode(name) != "assign":
            warnings.warn(
                f"dataset {name!r}, a {type(value).__name__}, changes when it is read, and {_some(readers[name])} each "
                f"get a copy of it as it is now: they draw the same values, which calls in a row would not. Give each "
                f"node one of its own, make it in the node (from a seed, say), or, where all nodes run in the runner's "
                f"process, share it: MemoryDataset(value, copy_mode='assign').",
                UserWarning,
                stacklevel=2,
            )


def validate_alone(work: Work, *, is_async: bool) -> None:
    """Raise one `ValidationError` with what is wrong whatever runs the pipeline."""
    pipeline, datasets, persistent = work.rest, work.datasets, work.persistent
    _raise(
        [
            *_missing_inputs(pipeline, datasets, persistent.union(work.found)),
            *datasets.check(sorted(datasets.declared_among(pipeline.plan.names))),
            *_transcoded_in_memory(pipeline.plan.transcoded, persistent),
            *_confirms(pipeline, datasets, persistent),
            *(_generators(pipeline) if is_async else ()),
        ]
    )


def _raise(problems: Sequence[str]) -> None:
    if problems:
        raise ValidationError(dict.fromkeys(problems))


def _missing_inputs(pipeline: Pipeline, datasets: Datasets, there: frozenset[str]) -> list[str]:
    plan = pipeline.plan
    missing = [name for name in plan.free_inputs if name not in there and not datasets.has_value(name)]
    readers = plan.free_readers if missing else {}
    return [
        f"dataset {name!r}, an input of {_some(readers[name])}, is neither given nor declared nor made by a node"
        f"{_similar(name, datasets, plan.made)}"
        for name in missing
    ]


def _some(nodes: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in nodes[:3])
    more = f" and {len(nodes) - 3} more" if len(nodes) > 3 else ""  # noqa: PLR2004 - three names fit on a line
    return f"node{'s' if len(nodes) > 1 else ''} {shown}{more}"


def _similar(name: str, datasets: Datasets, made: Mapping[str, int]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only errors need it

    close = get_close_matches(name, [*datasets.names(), *made], 1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _transcoded_in_memory(names: Sequence[str], persistent: frozenset[str]) -> list[str]:
    return [
        f"dataset {name!r} is transcoded, so it has to be declared as a persistent dataset: {base_name(name)!r} in "
        f"another form can only be read from where it was saved"
        for name in names
        if name not in persistent
    ]


def _confirms(pipeline: Pipeline, datasets: Datasets, persistent: frozenset[str]) -> list[str]:
    from kernel.datasets import Dataset  # noqa: PLC0415 - most pipelines confirm nothing

    problems: list[str] = []
    for node in pipeline.plan.special.values():
        for name in node.confirms:
            if name not in persistent:
                problems.append(f"node {node.name!r} confirms {name!r}, which is not a declared persistent dataset")
                continue
            dataset = _dataset(name, datasets)
            if dataset is not None and type(dataset).confirm is Dataset.confirm:
                problems.append(
                    f"node {node.name!r} confirms {name!r}, but a {type(dataset).__name__} keeps no checkpoint"
                )
    return problems


def _dataset(name: str, datasets: Datasets) -> Dataset | None:
    try:
        return datasets[name]
    except Exception:  # what cannot be built is named by `Datasets.check` already
        return None


def distant_names(work: Work, executor: Executor) -> frozenset[str]:
    """List the persistent datasets that are used in other processes."""
    if not work.persistent or executor.capabilities.reach == Reach.THREAD:
        return frozenset()
    used = {
        name
        for node in work.rest.plan.nodes
        if part_of(executor, node).capabilities.reach != Reach.THREAD
        for name in (*node.inputs, *node.outputs)
    }
    return work.persistent & used


def _datasets_out_of_reach(names: Sequence[str], datasets: Datasets) -> list[str]:
    """Find persistent datasets that cannot be used in another process."""
    problems: list[str] = []
    for name in names:
        dataset = _dataset(name, datasets)
        if dataset is not None and dataset.single_process:
            problems.append(
                f"dataset {name!r} ({type(dataset).__name__}) can be used in one process only; "
                f"run with the executor 'threads' or 'sequential', or give its nodes executor='sequential'"
            )
            continue
        cause = _unserialisable(datasets.builder(name)) if dataset is not None else None
        if cause:
            problems.append(
                f"dataset {name!r} cannot be sent to another process: {cause}; give it by its configuration, "
                f"or run with the executor 'threads' or 'sequential'"
            )
    return problems


def _unserialisable(value: object) -> str | None:
    try:
        by_value(value, named=False)
    except Exception as error:  # whatever a type's pickling raises is the reason
        return f"{type(error).__name__}: {error}"
    return None


def _policies(pipeline: Pipeline, executor: Executor) -> list[str]:
    """Refuse what a node asks for and this executor does not give: a limit that is not kept is worse than none."""
    problems: list[str] = []
    for node in pipeline.plan.special.values():
        policy, capabilities = node.policy, part_of(executor, node).capabilities
        if policy.timeout is not None and not capabilities.kill:
            problems.append(
                f"node {node.name!r} has a timeout, but this executor cannot stop a running node; use 'process_pool'"
            )
        problems += [
            f"node {node.name!r} asks for {what!r}, which this executor does not offer"
            for what in ("resources", "fresh_process")
            if getattr(policy, what) and what not in capabilities.policies
        ]
    return problems


def check_resources(pipeline: Pipeline, executor: Executor) -> None:
    """Raise one `ValidationError` with every node that asks for more than any worker has: it would wait for ever."""
    _raise(
        [
            f"node {node.name!r} asks for {amount:g} of {what!r}, and no worker has more than "
            f"{capacity.get(what, 0.0):g}"
            for node in pipeline.plan.special.values()
            if node.policy.resources
            for capacity in (part_of(executor, node).capacity(),)
            for what, amount in node.policy.resources.items()
            if amount > capacity.get(what, 0.0)
        ]
    )


def _generators(pipeline: Pipeline) -> list[str]:
    return [
        f"node {node.name!r} is a generator: its chunks are saved as they come, so it cannot run with asynchronous "
        f"loading and saving; run without --async"
        for node in pipeline.plan.nodes
        if node.is_generator
    ]
