"""The executor on pools of futures passes the conformance kit, with the pools of the standard library and of loky."""

from __future__ import annotations

from functools import partial

import pytest

from kernel.testing import ExecutorSuite
from kernel_futures import FuturesExecutor
from kernel_memory import MemoryCatalog


class TestProcesses(ExecutorSuite):
    capabilities = FuturesExecutor.capabilities

    @pytest.fixture
    def executor_factory(self):
        return FuturesExecutor

    @pytest.fixture
    def catalog_factory(self):
        return MemoryCatalog


class TestLoky(TestProcesses):
    @pytest.fixture
    def executor_factory(self):
        return partial(FuturesExecutor, "loky:ProcessPoolExecutor")
