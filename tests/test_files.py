"""The dataset types for files: what was saved is what is loaded, here and on other file systems."""

from __future__ import annotations

import math
import pickle
import stat
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from kernel.datasets import Datasets, MemoryDataset
from kernel.errors import DatasetError
from kernel_files.csv_ import CSVDataset
from kernel_files.excel import ExcelDataset
from kernel_files.json_ import JSONDataset
from kernel_files.numpy_ import NumPyDataset
from kernel_files.parquet import ParquetDataset
from kernel_files.pickle_ import PickleDataset
from kernel_files.text import TextDataset
from kernel_files.yaml_ import YAMLDataset

FRAME = pd.DataFrame({"carrier": ["AA", "ø", "数"], "delay": [1.5, -2.0, 0.25]})
ARRAY = np.arange(12.0).reshape(3, 4)
DOCUMENT = {"a": [1, 2.5, None, True], "name": "ø数", "nested": {"x": []}}

CASES = [
    (PickleDataset, "x.pkl", {"any": (1, {2})}),
    (JSONDataset, "x.json", DOCUMENT),
    (YAMLDataset, "x.yml", DOCUMENT),
    (TextDataset, "x.txt", "line\r\nnext\nø数"),
    (CSVDataset, "x.csv", FRAME),
    (CSVDataset, "x.csv.gz", FRAME),
    (ParquetDataset, "x.parquet", FRAME),
    (ExcelDataset, "x.xlsx", FRAME),
    (ExcelDataset, "sheets.xlsx", {"one": FRAME, "two": FRAME.head(1)}),
    (NumPyDataset, "x.npy", ARRAY),
    (NumPyDataset, "x.npz", {"a": ARRAY, "b": ARRAY[0]}),
]
EACH = pytest.mark.parametrize(("kind", "name", "data"), CASES, ids=[case[1] for case in CASES])
ALL_SHEETS = {"sheets.xlsx": {"load_args": {"sheet_name": None}}}


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def same(left, right):
    if isinstance(left, pd.DataFrame):
        pd.testing.assert_frame_equal(left, right)
        return True
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return np.array_equal(left, right) if isinstance(left, np.ndarray) else left == right


@EACH
def test_what_was_saved_is_loaded(tmp_path, kind, name, data):
    dataset = kind(tmp_path / "made" / "here" / name, **ALL_SHEETS.get(name, {}))
    assert not dataset.exists()
    dataset.save(data)
    assert dataset.exists()
    assert same(dataset.load(), data)
    assert same(pickle.loads(pickle.dumps(dataset)).load(), data)
    assert names_in(tmp_path / "made" / "here") == [name]


@EACH
def test_what_was_saved_elsewhere_is_loaded(kind, name, data):
    dataset = kind(f"memory://elsewhere/{kind.__name__}/{name}", **ALL_SHEETS.get(name, {}))
    dataset.save(data)
    dataset.release()
    assert dataset.exists()
    assert same(dataset.load(), data)
    dataset.save(data)
    assert same(pickle.loads(pickle.dumps(dataset)).load(), data)
    assert dataset._files().children(f"memory://elsewhere/{kind.__name__}").count(name) == 1
    assert not any("partial" in each for each in dataset._files().children(f"memory://elsewhere/{kind.__name__}"))


@EACH
def test_a_missing_file_is_named(tmp_path, kind, name, data):
    with pytest.raises(DatasetError, match=f"there is no file .*{name}"):
        kind(tmp_path / name).load()
    with pytest.raises(DatasetError, match=f"there is no file memory://missing/{name}"):
        kind(f"memory://missing/{name}").load()


def test_every_type_is_found_by_its_name():
    found = {
        each.name: each.load() for each in entry_points(group="kernel.datasets") if each.dist.name == "kernel-pipelines"
    }
    assert found["memory"] is MemoryDataset
    assert {found[name] for name in found if name != "memory"} == {kind for kind, _, _ in CASES}


def test_arguments_reach_the_library(tmp_path):
    CSVDataset(tmp_path / "a", save_args={"sep": ";", "index": True}).save(FRAME)
    assert (tmp_path / "a").read_text().startswith(";carrier;delay\n0;AA;1.5")
    assert same(CSVDataset(tmp_path / "a", load_args={"sep": ";", "index_col": 0}).load(), FRAME)
    JSONDataset(tmp_path / "b", save_args={"indent": 1}).save([1])
    assert (tmp_path / "b").read_text() == "[\n 1\n]"
    TextDataset(tmp_path / "c", save_args={"encoding": "latin-1"}).save("ø")
    assert TextDataset(tmp_path / "c", load_args={"encoding": "latin-1"}).load() == "ø"
    NumPyDataset(tmp_path / "d", save_args={"compressed": True}).save({"a": ARRAY})
    assert same(NumPyDataset(tmp_path / "d").load(), {"a": ARRAY})


def test_csv_takes_the_compression_from_the_ending(tmp_path):
    CSVDataset(tmp_path / "a.csv.gz").save(FRAME)
    assert (tmp_path / "a.csv.gz").read_bytes().startswith(b"\x1f\x8b")
    assert same(pd.read_csv(tmp_path / "a.csv.gz"), FRAME)


def test_parquet_takes_arrow_tables(tmp_path):
    dataset = ParquetDataset(tmp_path / "a.parquet")
    dataset.save(pa.table({"a": [1, 2]}))
    assert dataset.load()["a"].tolist() == [1, 2]


def test_json_keeps_numbers_that_are_not_finite(tmp_path):
    dataset = JSONDataset(tmp_path / "a.json")
    dataset.save([math.inf, math.nan])
    assert dataset.load()[0] == math.inf


def test_what_pickle_cannot_write_is_written_by_value(tmp_path):
    for path in (tmp_path / "a.pkl", "memory://functions/a.pkl"):
        dataset = PickleDataset(path)
        dataset.save({"large": ARRAY, "double": lambda x: 2 * x})
        assert dataset.load()["double"](4) == 8


def test_yaml_builds_no_objects(tmp_path):
    path, trace = tmp_path / "a.yml", tmp_path / "trace"
    path.write_text(f"!!python/object/apply:os.mkdir ['{trace}']")
    datasets = Datasets({"a": YAMLDataset(path)})
    with pytest.raises(DatasetError, match=r"^a: cannot be loaded: ConstructorError"):
        datasets.load("a")
    assert not trace.exists()
    with pytest.raises(DatasetError, match=r"^a: cannot be saved: RepresenterError"):
        datasets.save("a", {"x": object()})
    assert path.exists()


def test_numpy_runs_no_pickles_unless_told(tmp_path):
    datasets = Datasets({"a": NumPyDataset(tmp_path / "a.npy")})
    with pytest.raises(DatasetError, match=r"cannot be saved: ValueError"):
        datasets.save("a", np.array([{}], dtype=object))
    assert names_in(tmp_path) == []


def test_text_takes_nothing_else(tmp_path):
    with pytest.raises(DatasetError, match=r"takes a text, not a int"):
        TextDataset(tmp_path / "a").save(3)


def test_a_type_that_names_a_module_is_refused_without_importing_it(tmp_path, monkeypatch):
    plugins = pytest.importorskip("kernel.plugins")
    (tmp_path / "effectful.py").write_text("import pathlib; pathlib.Path('effect').touch()\nclass Thing: pass\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    names = ["effectful.Thing", "effectful:Thing", "effectful", "builtins.print"]
    datasets = Datasets.from_config({name: {"type": name} for name in names}, types=plugins.load_dataset_type)
    problems = datasets.check(names)
    assert len(problems) == len(names)
    assert all("cannot be had" in problem for problem in problems)
    assert "effectful" not in sys.modules
    assert not (tmp_path / "effect").exists()


def test_paths_are_shown_without_user_password_and_query():
    dataset = CSVDataset("s3://me:hunter2@bucket/x.csv?token=hunter2", credentials={"key": "hunter2"})
    assert dataset.describe() == "s3://bucket/x.csv"
    assert "hunter2" not in repr(dataset)
    secret = {"type": "csv", "filepath": "abfs://box/hunter2/x.csv", "credentials": {"key": "hunter2"}}
    datasets = Datasets.from_config({"a": secret}, types=lambda _: CSVDataset)
    assert datasets.describe("a") == "abfs://box/***/x.csv"


def test_a_password_in_a_url_stands_in_no_error():
    datasets = Datasets({"a": CSVDataset("nowhere://me:hunt@er2@host/x.csv?sig=hunter3")})
    with pytest.raises(DatasetError, match=r"^a: cannot be loaded") as caught:
        datasets.load("a")
    dataset = CSVDataset("memory://me:hunter2@host/x.csv?sig=hunter3", credentials={"key": "hunter4"})
    with pytest.raises(DatasetError, match=r"^a: there is no file memory://host/x.csv$") as missing:
        Datasets({"a": dataset}).load("a")
    shown = f"{caught.value} {caught.value.__cause__!r} {missing.value} {missing.value.__cause__!r}"
    assert "hunt" not in shown


def test_wrong_credentials_of_a_file_system_are_not_shown():
    entry = {"type": "csv", "filepath": "memory://x/y.csv", "credentials": {"secret_key": "hunter2-long"}}
    for kind in ("nowhere://x/y.csv", "memory://missing/y.csv"):
        datasets = Datasets.from_config({"a": {**entry, "filepath": kind}}, types=lambda _: CSVDataset)
        with pytest.raises(DatasetError, match=r"^a: ") as caught:
            datasets.load("a")
        assert "hunter2" not in f"{caught.value} {caught.value.__cause__!r}"


def test_local_paths_may_be_urls(tmp_path):
    JSONDataset(f"file://{tmp_path}/a.json").save(1)
    assert JSONDataset(tmp_path / "a.json").load() == 1


def test_a_relative_path_is_that_of_the_process_that_made_the_dataset(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dataset = JSONDataset("a.json")
    monkeypatch.chdir("/")
    dataset.save(1)
    assert (tmp_path / "a.json").exists()


def test_permissions_and_links_of_the_old_file_stay(tmp_path):
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    JSONDataset(real).save(1)
    real.chmod(0o640)
    link.symlink_to(real)
    JSONDataset(link).save(2)
    assert link.is_symlink()
    assert JSONDataset(real).load() == 2
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_very_long_names_work_up_to_the_limit_of_the_file_system(tmp_path):
    name = "ø" * 120 + ".json"
    JSONDataset(tmp_path / name).save(1)
    assert JSONDataset(tmp_path / name).load() == 1
    with pytest.raises(OSError, match=r"name too long"):
        JSONDataset(tmp_path / ("n" * 300)).save(1)


WITHOUT = """
import sys
from importlib.abc import MetaPathFinder
class Missing(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"pandas", "numpy", "fsspec", "pyarrow", "openpyxl"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
from kernel.errors import DatasetError
from kernel_files import csv_, excel, json_, numpy_, parquet, pickle_, text, yaml_
plain = [json_.JSONDataset, pickle_.PickleDataset, yaml_.YAMLDataset, text.TextDataset]
for kind, data in zip(plain, [[1], [1], [1], "x"]):
    dataset = kind(sys.argv[1] + "/" + kind.__name__)
    dataset.save(data)
    assert dataset.load() == data
for kind in [csv_.CSVDataset, parquet.ParquetDataset, excel.ExcelDataset, numpy_.NumPyDataset]:
    open(sys.argv[1] + "/there", "w").close()
    try:
        kind(sys.argv[1] + "/there").load()
    except DatasetError as error:
        print(error)
try:
    json_.JSONDataset("s3://x/y").load()
except DatasetError as error:
    print(error)
"""


def test_plain_types_need_no_library_and_the_others_say_what_to_install(tmp_path):
    done = subprocess.run([sys.executable, "-c", WITHOUT, tmp_path], capture_output=True, text=True, check=True)
    told = done.stdout.splitlines()
    assert [line.split()[1].rstrip(",") for line in told] == [
        "pandas",
        "pyarrow",
        "openpyxl",
        "numpy",
        "fsspec",
    ]
    assert all("pip install 'kernel-pipelines[datasets]'" in line for line in told)


def test_importing_the_types_imports_no_heavy_library():
    modules = ", ".join(f"kernel_files.{each}" for each in ("csv_", "excel", "json_", "numpy_", "parquet", "yaml_"))
    code = f"import sys, {modules}; print({{'pandas', 'numpy', 'fsspec', 'cloudpickle'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_options_that_no_file_takes_are_found_before_anything_runs():
    classes = {"csv": CSVDataset}.__getitem__
    datasets = Datasets.from_config({"a": {"type": "csv", "filepth": "x", "save_args": {}}}, types=classes)
    assert datasets.check(["a"]) == [
        "a: a CSVDataset does not take its options: missing a required argument: 'filepath'"
    ]
