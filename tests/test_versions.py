"""Versions: how they are called, saved once, found again, and settled for a run."""

from __future__ import annotations

import logging
import re

import pytest

from kernel.datasets import Datasets, Version
from kernel.datasets.versions import new_version
from kernel.errors import DatasetError, ValidationError, VersionNotFoundError
from kernel_files.json_ import JSONDataset


def declared(folder, **options):
    catalog = {
        "model": {"type": "json", "filepath": "model.json", "versioned": True},
        "plain": {"type": "json", "filepath": "plain.json"},
        "frame@pandas": {"type": "json", "filepath": "frame.json", "versioned": True},
        "{name}_v": {"type": "json", "filepath": "{name}.json", "versioned": True},
    }
    return Datasets.from_config(catalog, types=lambda _: JSONDataset, folder=folder, **options)


def test_a_version_is_the_moment_in_utc_and_sorts_as_time_does():
    versions = [new_version() for _ in range(1000)]
    assert versions == sorted(versions)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d\.\d\d\.\d\d\.\d{3}Z", versions[0])


def test_each_version_is_a_file_in_a_folder_of_its_own(tmp_path):
    declared(tmp_path, save_version="v1").save("model", [1])
    declared(tmp_path, save_version="v2").save("model", [2])
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json") if path.is_file()) == [
        "model.json/v1/model.json",
        "model.json/v2/model.json",
    ]
    assert declared(tmp_path).load("model") == [2]
    assert declared(tmp_path, load_versions={"model": "v1"}).load("model") == [1]


def test_one_run_saves_every_dataset_under_one_version(tmp_path):
    datasets = declared(tmp_path)
    datasets.save("model", 1)
    datasets.save("other_v", 2)
    saved = {path.parent.name for path in tmp_path.rglob("*.json") if path.is_file()}
    assert saved == {datasets.save_version}


def test_a_version_is_saved_once(tmp_path):
    datasets = declared(tmp_path, save_version="v1")
    datasets.save("model", 1)
    with pytest.raises(DatasetError, match=r"model: version 'v1' is in .*model\.json already"):
        datasets.save("model", 2)
    assert datasets.load("model") == 1
    assert [path.name for path in (tmp_path / "model.json/v1").iterdir()] == ["model.json"]


def test_a_version_that_is_not_there_is_named(tmp_path):
    with pytest.raises(VersionNotFoundError, match=r"model: there is no version in .*model\.json"):
        declared(tmp_path).load("model")
    declared(tmp_path).save("model", 1)
    with pytest.raises(VersionNotFoundError, match=r"model: there is no version 'v0' in"):
        declared(tmp_path, load_versions={"model": "v0"}).load("model")
    assert not declared(tmp_path, load_versions={"model": "v0"}).exists("model")
    assert declared(tmp_path).exists("model")


def test_a_run_reads_what_it_saved_itself_even_if_its_version_is_not_the_newest(tmp_path):
    declared(tmp_path, save_version="v9").save("model", "other")
    datasets = declared(tmp_path, save_version="v1")
    assert datasets.load("model") == "other"
    datasets.save("model", "own")
    assert datasets.load("model") == "own"


def test_a_pinned_version_stays_while_others_save(tmp_path):
    declared(tmp_path, save_version="v1").save("model", 1)
    datasets = declared(tmp_path, save_version="v3")
    datasets.pin(["model", "plain", "frame@pandas"])
    declared(tmp_path, save_version="v2").save("model", 2)
    assert datasets.load("model") == 1
    assert datasets.builder("model")().load() == 1
    assert datasets.with_values({}).load("model") == 2


def test_saving_another_version_than_is_loaded_warns(tmp_path, caplog):
    declared(tmp_path, save_version="v1").save("model", 1)
    datasets = declared(tmp_path, save_version="v2", load_versions={"model": "v1"})
    with caplog.at_level(logging.WARNING):
        datasets.save("model", 2)
    assert "saved version 'v2', but loads read version 'v1'" in caplog.text


def test_a_folder_without_the_file_is_no_version(tmp_path):
    declared(tmp_path, save_version="v1").save("model", 1)
    (tmp_path / "model.json" / "v2").mkdir()
    (tmp_path / "model.json" / ".hidden").mkdir()
    assert declared(tmp_path).load("model") == 1


def test_load_versions_may_name_datasets_of_patterns_and_all_transcodings(tmp_path):
    versions = {"other_v": "v1", "frame": "v2"}
    datasets = declared(tmp_path, load_versions=versions)
    assert datasets["other_v"].version.load == "v1"
    assert datasets["frame@pandas"].version.load == "v2"


def test_a_load_version_of_an_unknown_dataset_is_refused(tmp_path):
    with pytest.raises(ValidationError, match=r"modle: a load version is given for it, but no such dataset"):
        declared(tmp_path, load_versions={"modle": "v1"})


def test_a_load_version_of_an_unversioned_dataset_is_a_problem(tmp_path):
    datasets = declared(tmp_path, load_versions={"plain": "v1"})
    assert datasets.check(["plain"]) == ["plain: a load version is given for it, but it is not 'versioned'"]


BAD = ["", ".", "..", "../v", "a/b", "/v", "a\\b", "v\0", "v\n", "a..b", ".v"]


@pytest.mark.parametrize("version", BAD)
def test_a_version_that_is_no_name_of_a_folder_is_refused(tmp_path, version):
    with pytest.raises(ValidationError, match=r"version .* is refused"):
        declared(tmp_path, save_version=version)
    with pytest.raises(ValidationError, match=r"model: load version .* is refused"):
        declared(tmp_path, load_versions={"model": version})
    with pytest.raises(DatasetError, match=r"version .* is refused"):
        JSONDataset(tmp_path / "x.json", version=Version(version, "v1"))
    assert list(tmp_path.iterdir()) == []


def test_a_dataset_on_its_own_names_its_versions_itself(tmp_path):
    dataset = JSONDataset(tmp_path / "x.json", version=Version())
    dataset.save(1)
    assert dataset.load() == 1
    assert dataset.newest_version() <= new_version()


def test_versions_work_on_other_file_systems():
    pytest.importorskip("fsspec")
    url = "memory://versions/model.json"
    JSONDataset(url, version=Version(None, "v1")).save(1)
    JSONDataset(url, version=Version(None, "v2")).save(2)
    assert JSONDataset(url, version=Version()).load() == 2
    assert JSONDataset(url, version=Version("v1")).load() == 1
    with pytest.raises(DatasetError, match=r"version 'v2' is in memory://versions/model.json already"):
        JSONDataset(url, version=Version(None, "v2")).save(3)
