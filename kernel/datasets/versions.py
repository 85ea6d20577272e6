"""Versions of datasets: how one is called, and which texts may be one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from kernel.datasets.names import shown, why_unsafe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["new_version", "version_problem", "version_problems"]


def new_version() -> str:
    """Return the version of this moment: UTC, to the millisecond, sorted as text as in time."""
    now = datetime.now(UTC)
    return f"{now:%Y-%m-%dT%H.%M.%S}.{now.microsecond // 1000:03d}Z"


def version_problem(version: object) -> str | None:
    """Say why a version cannot be one (it becomes the name of a folder); None when it can."""
    if not isinstance(version, str):
        return f"a version is a text, not a {type(version).__name__}"
    why = "it starts with a dot" if version.startswith(".") else None
    why = why_unsafe(version) or why
    return f"version {version!r} is refused: {why}" if why else None


def version_problems(save: str | None, load: Mapping[str, str], suits: Callable[[str], Iterable[str]]) -> list[str]:
    """Return what is wrong with the versions of a run; `suits` names the datasets that a name stands for."""
    problems = [f"save version: {why}" for why in [version_problem(save)] if save is not None and why]
    for name, version in load.items():
        if not any(True for _ in suits(name)):
            problems.append(f"{shown(name)}: a load version is given for it, but no such dataset is declared")
        elif why := version_problem(version):
            problems.append(f"{shown(name)}: load {why}")
    return problems
