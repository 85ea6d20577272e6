"""The catalog `objects` passes the conformance kit, for each reach and with executors that keep no values."""

from __future__ import annotations

from functools import partial

import pytest

from kernel.specs.executor import Reach
from kernel.testing import CatalogSuite, ExecutorSuite
from kernel_futures import FuturesExecutor
from kernel_objects import ObjectsCatalog
from kernel_process_pool import ProcessPoolExecutor


class TestForThreads(CatalogSuite):
    reach = Reach.THREAD
    measurable = True

    @pytest.fixture
    def catalog_factory(self, tmp_path):
        return partial(ObjectsCatalog, url=f"file://{tmp_path}", keep="never")


class TestForProcesses(TestForThreads):
    reach = Reach.PROCESS


class TestAllValuesForMachines(CatalogSuite):
    reach = Reach.MACHINE
    measurable = True

    @pytest.fixture
    def catalog_factory(self, tmp_path):
        return partial(ObjectsCatalog, url=tmp_path, above=0, keep="never")


class TestProcessPool(ExecutorSuite):
    capabilities = ProcessPoolExecutor.capabilities

    @pytest.fixture
    def executor_factory(self):
        return ProcessPoolExecutor

    @pytest.fixture
    def catalog_factory(self, tmp_path_factory):
        return partial(ObjectsCatalog, url=tmp_path_factory.mktemp("values"))


class TestFutures(TestProcessPool):
    capabilities = FuturesExecutor.capabilities

    @pytest.fixture
    def executor_factory(self):
        return FuturesExecutor
