"""The suite of executors."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest

from kernel.testing.afar import FarRules
from kernel.testing.bench import Bench
from kernel.testing.ending import EndRules
from kernel.testing.failing import FailureRules
from kernel.testing.listening import ListenerRules
from kernel.testing.suite import Suite, owner
from kernel.testing.turns import TurnRules
from kernel.testing.values import ValueRules

if TYPE_CHECKING:
    from kernel.specs.catalog import Catalog
    from kernel.specs.executor import Capabilities, Executor

__all__ = ["ExecutorSuite"]

_WARM = pytest.StashKey[list["Executor"]]()


def _end(warm: list[Executor]) -> None:
    while warm:
        warm.pop().shutdown()


class ExecutorSuite(TurnRules, ValueRules, FailureRules, ListenerRules, FarRules, EndRules, Suite):
    """What every executor has to do. Derive from it, say what the executor can do, and give two fixtures.

    ```python
    class TestMine(ExecutorSuite):
        capabilities = MyExecutor.capabilities

        @pytest.fixture
        def executor_factory(self):
            return MyExecutor

        @pytest.fixture
        def catalog_factory(self):
            return MemoryCatalog
    ```

    Both factories are called without arguments and give a new object each time. Neither has to be installed.
    """

    needs: ClassVar = ("capabilities",)
    #: What the executor says of itself: it chooses the rules.
    capabilities: ClassVar[Capabilities]

    @pytest.fixture
    def executor_factory(self) -> Callable[[], Executor]:
        """Return what makes the executor under test."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture 'executor_factory'")

    @pytest.fixture
    def catalog_factory(self) -> Callable[[], Catalog]:
        """Return what makes a catalog that the executor works with."""
        raise NotImplementedError(f"{type(self).__name__} needs a fixture 'catalog_factory'")

    @pytest.fixture
    def bench(
        self,
        request: pytest.FixtureRequest,
        executor_factory: Callable[[], Executor],
        catalog_factory: Callable[[], Catalog],
        tmp_path: Path,
    ) -> Bench:
        """Return what runs pipelines on the backend; the tests of a class share its warm executor."""
        suite = owner(request, pytest.Class)
        warm = suite.stash.get(_WARM, None)
        if warm is None:
            warm = suite.stash[_WARM] = []
            suite.addfinalizer(partial(_end, warm))
        return Bench(executor_factory, catalog_factory, tmp_path, warm)

    def test_the_executor_can_do_what_its_suite_says(self, executor_factory: Callable[[], Executor]) -> None:
        executor = executor_factory()
        assert executor.capabilities == self.capabilities
        assert executor.default_catalog
