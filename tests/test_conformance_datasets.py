"""Every dataset type that is shipped passes the conformance kit."""

from __future__ import annotations

from importlib.metadata import entry_points

import numpy as np
import pandas as pd
import pytest

from kernel.datasets import MemoryDataset
from kernel.plugins import load_dataset_type
from kernel.testing import DatasetSuite

FRAMES = [
    pd.DataFrame({"carrier": ["AA", "ø", "数"], "delay": [1.5, -2.0, 0.25]}),
    pd.DataFrame({"carrier": ["UA"] * 50, "delay": np.arange(50) / 4}),
]
DOCUMENTS = [{"a": [1, 2.5, None, True], "name": "ø数", "nested": {"x": []}}, {"a": list(range(500))}]


class TestMemory(DatasetSuite):
    shared = False

    @pytest.fixture
    def make_dataset(self):
        return MemoryDataset

    @pytest.fixture
    def values(self):
        return [[1, 2], {"a": 3}]


class Files(DatasetSuite):
    keeps_versions = True
    takes_credentials = True
    type_name = ""
    ending = ""

    @pytest.fixture
    def make_dataset(self, tmp_path):
        kind = load_dataset_type(self.type_name)
        path = str(tmp_path / "folder" / f"data.{self.ending}")
        return lambda **options: kind(filepath=path, **options)


class TestPickle(Files):
    type_name, ending = "pickle", "pkl"

    @pytest.fixture
    def values(self):
        return [(1, {2}, bytes(100_000)), "another"]


class TestJSON(Files):
    type_name, ending = "json", "json"

    @pytest.fixture
    def values(self):
        return DOCUMENTS


class TestYAML(Files):
    type_name, ending = "yaml", "yml"

    @pytest.fixture
    def values(self):
        return DOCUMENTS


class TestText(Files):
    type_name, ending = "text", "txt"

    @pytest.fixture
    def values(self):
        return ["line\r\nnext\nø数", "x" * 100_000]


class TestCSV(Files):
    type_name, ending = "csv", "csv"

    @pytest.fixture
    def values(self):
        return FRAMES


class TestCompressedCSV(TestCSV):
    ending = "csv.gz"


class TestParquet(Files):
    type_name, ending = "parquet", "parquet"

    @pytest.fixture
    def values(self):
        return FRAMES


class TestExcel(Files):
    type_name, ending = "excel", "xlsx"

    @pytest.fixture
    def values(self):
        return FRAMES


class TestNumPy(Files):
    type_name, ending = "numpy", "npy"

    @pytest.fixture
    def values(self):
        return [np.arange(12.0).reshape(3, 4), np.zeros(100_000)]


def test_every_dataset_type_of_this_distribution_has_its_suite():
    shipped = {
        entry.name
        for entry in entry_points(group="kernel.datasets")
        if entry.dist is not None and entry.dist.name == "kernel-pipelines"
    }
    covered = {suite.type_name for suite in (*Files.__subclasses__(), *TestCSV.__subclasses__())}
    assert shipped == covered | {"memory"}
