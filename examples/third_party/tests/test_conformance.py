"""The plugins do what every executor and every dataset type of kernel has to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from acme_plugins.executor import ThreadFuturesExecutor
from acme_plugins.jsonlines import JSONLinesDataset

from kernel.plugins import load_catalog
from kernel.testing import DatasetSuite, ExecutorSuite

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from kernel.specs.catalog import Catalog


class TestThreadFutures(ExecutorSuite):
    capabilities = ThreadFuturesExecutor.capabilities

    @pytest.fixture
    def executor_factory(self) -> type[ThreadFuturesExecutor]:
        return ThreadFuturesExecutor

    @pytest.fixture
    def catalog_factory(self) -> Callable[[], Catalog]:
        return load_catalog("memory")


class TestJSONLines(DatasetSuite):
    @pytest.fixture
    def make_dataset(self, tmp_path: Path) -> Callable[[], JSONLinesDataset]:
        return lambda: JSONLinesDataset(tmp_path / "folder" / "records.jsonl")

    @pytest.fixture
    def values(self) -> list[list[dict[str, object]]]:
        return [[{"carrier": "AA"}, {"carrier": "ø"}], [{"flight": number} for number in range(500)]]
