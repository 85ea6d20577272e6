"""The options of the pool, checked."""

from __future__ import annotations

from math import isfinite
from typing import Any

from attrs import frozen

from kernel.amounts import bytes_of
from kernel.errors import ConfigError

__all__ = ["Options"]


@frozen
class Options:
    """How workers live: see the documentation of the executor. `max_worker_memory` is in bytes, times in seconds."""

    threads_per_worker: int | None
    max_nodes_per_worker: int | None
    max_worker_memory: int | None
    report_silent_after: float
    starts_ahead: bool

    @classmethod
    def checked(
        cls,
        threads_per_worker: Any,
        max_nodes_per_worker: Any,
        max_worker_memory: Any,
        report_silent_after: Any,
        starts_ahead: Any,
    ) -> Options:
        """Build from what the user gave; ConfigError for what makes no sense."""
        return cls(
            _count("threads_per_worker", threads_per_worker, least=0),
            _count("max_nodes_per_worker", max_nodes_per_worker, least=1),
            _bytes("max_worker_memory", max_worker_memory),
            _seconds("report_silent_after", report_silent_after),
            _choice("starts_ahead", starts_ahead),
        )


def _count(name: str, given: Any, least: int) -> int | None:
    if given is not None and (not isinstance(given, int) or isinstance(given, bool) or given < least):
        raise ConfigError(f"the option {name} should be a whole number not below {least}, got {given!r}")
    return given


def _seconds(name: str, given: Any) -> float:
    if not isinstance(given, int | float) or isinstance(given, bool) or not isfinite(given) or given < 0:
        raise ConfigError(f"the option {name} should be a number of seconds not below 0, got {given!r}")
    return float(given)


def _choice(name: str, given: Any) -> bool:
    if not isinstance(given, bool):
        raise ConfigError(f"the option {name} should be true or false, got {given!r}")
    return given


def _bytes(name: str, given: Any) -> int | None:
    if given is None:
        return None
    size = bytes_of(given)
    if not size:
        raise ConfigError(
            f"the option {name} should be a number of bytes, or a size like '500MB' or '2GB', got {given!r}"
        )
    return size
