"""Every executor that is shipped passes the conformance kit."""

from __future__ import annotations

from functools import partial

import pytest

from kernel.testing import ExecutorSuite
from kernel_memory import MemoryCatalog
from kernel_process_pool import ProcessPoolExecutor
from kernel_sequential import SequentialExecutor
from kernel_shared_memory import SharedMemoryCatalog
from kernel_threads import ThreadsExecutor


class TestSequential(ExecutorSuite):
    capabilities = SequentialExecutor.capabilities

    @pytest.fixture
    def executor_factory(self):
        return SequentialExecutor

    @pytest.fixture
    def catalog_factory(self):
        return MemoryCatalog


class TestThreads(ExecutorSuite):
    capabilities = ThreadsExecutor.capabilities

    @pytest.fixture
    def executor_factory(self):
        return ThreadsExecutor

    @pytest.fixture
    def catalog_factory(self):
        return MemoryCatalog


class TestThreadsWithSharedMemory(TestThreads):
    @pytest.fixture
    def catalog_factory(self):
        return SharedMemoryCatalog


class TestProcessPool(ExecutorSuite):
    capabilities = ProcessPoolExecutor.capabilities

    @pytest.fixture
    def executor_factory(self):
        return partial(ProcessPoolExecutor, "forkserver")

    @pytest.fixture
    def catalog_factory(self):
        return SharedMemoryCatalog


class TestProcessPoolWithMemory(TestProcessPool):
    @pytest.fixture
    def catalog_factory(self):
        return MemoryCatalog


class TestForkedProcessPool(TestProcessPool):
    @pytest.fixture
    def executor_factory(self):
        return partial(ProcessPoolExecutor, "fork")


class TestSpawnedProcessPool(TestProcessPool):
    @pytest.fixture
    def executor_factory(self):
        return partial(ProcessPoolExecutor, "spawn")
