"""The conformance kit: suites that every backend, shipped or a stranger's, has to pass. Needs pytest.

A backend's tests are a subclass: of `ExecutorSuite` with two fixtures and the capabilities, of `CatalogSuite` with
one fixture and the reach, of `DatasetSuite` with two fixtures. A rule that does not apply to the backend, by what it
says of itself, is not collected.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kernel.testing.catalogs import CatalogSuite
    from kernel.testing.datasets import DatasetSuite
    from kernel.testing.executors import ExecutorSuite

__all__ = ["CatalogSuite", "DatasetSuite", "ExecutorSuite"]

_HOMES = {"CatalogSuite": "catalogs", "DatasetSuite": "datasets", "ExecutorSuite": "executors"}
#: Modules whose asserts are to say what they compared.
_WITH_ASSERTS = (
    "afar",
    "bench",
    "catalogs",
    "datasets",
    "ending",
    "executors",
    "failing",
    "listening",
    "sending",
    "turns",
    "values",
)


def __getattr__(name: str) -> Any:
    """Load a suite when it is asked for: workers import node functions from here and need no pytest."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    import pytest

    pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _WITH_ASSERTS))
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
