"""How a node wants to be run: time limit, retries, resources, executor; outside of the node's identity."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from types import MappingProxyType
from typing import Any

from attrs import field, frozen

from kernel.errors import PipelineError

__all__ = ["DEFAULT_POLICY", "Policy"]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _frozen_resources(resources: Mapping[str, float]) -> Mapping[str, float]:
    if not isinstance(resources, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
        raise PipelineError(f"resources must map names to amounts, got {type(resources).__name__}")
    for name, amount in resources.items():
        if not isinstance(name, str) or not name:  # pyright: ignore[reportUnnecessaryIsInstance] - as above
            raise PipelineError(f"resources must have names like 'cpu' or 'memory' as keys, got {name!r}")
        if not _is_number(amount) or amount < 0:
            raise PipelineError(f"resources[{name!r}] must be a number not below 0, got {amount!r}")
    return MappingProxyType(dict(resources))


@frozen
class Policy:
    """What a node asks of whoever runs it. Raises PipelineError for a field that makes no sense.

    `timeout` is in seconds for one attempt; `retries` counts repeats after an exception, `death_retries`
    those after the death of a worker (None: as the run says); `resources` are amounts by name that one worker
    must offer; `executor` names the executor to run on; `fresh_process` asks for a process of the node's own.
    """

    timeout: float | None = None
    retries: int = 0
    death_retries: int | None = None
    resources: Mapping[str, float] = field(factory=dict[str, float], converter=_frozen_resources, hash=False)
    executor: str | None = None
    fresh_process: bool = False

    def __attrs_post_init__(self) -> None:
        if self.timeout is not None and not (_is_number(self.timeout) and self.timeout > 0):
            raise PipelineError(f"timeout must be a number of seconds above 0, or None, got {self.timeout!r}")
        if not _is_count(self.retries):
            raise PipelineError(f"retries must be a whole number not below 0, got {self.retries!r}")
        if self.death_retries is not None and not _is_count(self.death_retries):
            raise PipelineError(
                f"death_retries must be a whole number not below 0, or None, got {self.death_retries!r}"
            )
        if self.executor is not None and (not isinstance(self.executor, str) or not self.executor):  # pyright: ignore[reportUnnecessaryIsInstance] - callers may be untyped
            raise PipelineError(f"executor must be the name of an executor, or None, got {self.executor!r}")
        if not isinstance(self.fresh_process, bool):  # pyright: ignore[reportUnnecessaryIsInstance] - as above
            raise PipelineError(f"fresh_process must be True or False, got {self.fresh_process!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        resources = dict(self.resources)  # the read-only view itself cannot be pickled
        return Policy, (
            self.timeout,
            self.retries,
            self.death_retries,
            resources,
            self.executor,
            self.fresh_process,
        )


DEFAULT_POLICY = Policy()
