"""Chooses what runs: pipelines by name, nodes by the options that filter."""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import TYPE_CHECKING

from kernel.errors import ConfigError, PipelineError
from kernel.project import DEFAULT_PIPELINE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kernel.pipelines import Pipeline
    from kernel.project import Project

__all__ = ["chosen"]


def chosen(project: Project, names: Sequence[str], filters: Mapping[str, Sequence[str]]) -> Pipeline:
    """Return the sum of the named pipelines (none named: the default one), filtered.

    Raises ConfigError for a name that the project does not have, PipelineError where no node fits.
    """
    if not names and DEFAULT_PIPELINE in project.pipelines:
        names = [DEFAULT_PIPELINE]
    for name in names:
        if name not in project.pipelines:
            raise ConfigError(f"there is no pipeline {name!r}{_meant(name, project.pipelines)}")
    pipeline = reduce(add, (project.pipelines[name] for name in names)) if names else _all_together(project)
    if not filters:
        return pipeline
    try:
        return pipeline.filter(**filters)
    except PipelineError:
        raise
    except ValueError as error:
        raise PipelineError(str(error)) from error


def _all_together(project: Project) -> Pipeline:
    """Say why the pipelines have no sum, which is what runs where none is named."""
    try:
        return reduce(add, project.pipelines.values())
    except PipelineError as error:
        known = ", ".join(sorted(project.pipelines))
        text = f"the pipelines cannot run together: {error}. Name those to run with --pipeline; there are: {known}"
        raise PipelineError(text) from error


def _meant(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

    names = sorted(known)
    close = get_close_matches(name, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; there are: {', '.join(names) or 'none'}"
