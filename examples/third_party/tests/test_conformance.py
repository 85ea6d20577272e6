"""The plugins do what every executor and every dataset type of kernel has to do."""

from __future__ import annotations

import pytest
from acme_plugins.executor import ThreadFuturesExecutor
from acme_plugins.jsonlines import JSONLinesDataset

from kernel.plugins import load_catalog
from kernel.testing import DatasetSuite, ExecutorSuite


class TestThreadFutures(ExecutorSuite):
    capabilities = ThreadFuturesExecutor.capabilities

    @pytest.fixture
    def executor_factory(self):
        return ThreadFuturesExecutor

    @pytest.fixture
    def catalog_factory(self):
        return load_catalog("memory")


class TestJSONLines(DatasetSuite):
    @pytest.fixture
    def make_dataset(self, tmp_path):
        return lambda: JSONLinesDataset(tmp_path / "folder" / "records.jsonl")

    @pytest.fixture
    def values(self):
        return [[{"carrier": "AA"}, {"carrier": "ø"}], [{"flight": number} for number in range(500)]]
