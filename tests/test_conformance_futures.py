"""The executor on pools of futures passes the conformance kit, with the pools of the standard library and of loky."""

from __future__ import annotations

import os
import sys
from functools import partial

import pytest

from kernel.testing import ExecutorSuite
from kernel_futures import FuturesExecutor
from kernel_memory import MemoryCatalog


@pytest.fixture(scope="module", autouse=True)
def no_tracker():
    """End the process that loky keeps for as long as its user lives."""
    yield
    module = sys.modules.get("loky.backend.resource_tracker")
    tracker = module and module._resource_tracker
    if tracker and tracker._fd is not None:
        os.close(tracker._fd)
        os.waitpid(tracker._pid, 0)
        tracker._fd = tracker._pid = None


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
