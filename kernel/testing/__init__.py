"""The conformance kit: suites that every backend, shipped or a stranger's, has to pass. Needs pytest.

A backend's tests are a subclass: of `ExecutorSuite` with two fixtures and the capabilities, of `CatalogSuite` with one
fixture and the reach, of `DatasetSuite` with two fixtures. A rule that does not apply to the backend, by what it says of
itself, is not collected.
"""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite(
    *(
        f"kernel.testing.{name}"
        for name in ("bench", "catalogs", "datasets", "elsewhere", "ending", "failing", "listening", "turns", "values")
    )
)

from kernel.testing.executors import ExecutorSuite  # noqa: E402 - asserts are rewritten as modules are imported

__all__ = ["ExecutorSuite"]
