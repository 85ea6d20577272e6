"""Every catalog that is shipped passes the conformance kit, for each reach that it serves."""

from __future__ import annotations

from functools import partial

import pytest

from kernel.specs.executor import Reach
from kernel.testing import CatalogSuite
from kernel_memory import MemoryCatalog
from kernel_shared_memory import SharedMemoryCatalog


class TestMemoryForThreads(CatalogSuite):
    reach = Reach.THREAD

    @pytest.fixture
    def catalog_factory(self):
        return MemoryCatalog


class TestMemoryForProcesses(TestMemoryForThreads):
    reach = Reach.PROCESS


class TestMemoryForMachines(TestMemoryForThreads):
    reach = Reach.MACHINE


class TestSharedMemory(CatalogSuite):
    reach = Reach.PROCESS
    measurable = True

    @pytest.fixture
    def catalog_factory(self):
        return partial(SharedMemoryCatalog, place="memfd")


class TestSharedMemoryInADirectory(TestSharedMemory):
    @pytest.fixture
    def catalog_factory(self, tmp_path):
        return partial(SharedMemoryCatalog, directory=tmp_path)
