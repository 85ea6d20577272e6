"""What names stand for: values, objects and entries, and what is said when one cannot be had."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernel.datasets import Dataset, Datasets, MemoryDataset, Version, access
from kernel.datasets.recipe import Recipe
from kernel.errors import DatasetError, PluginError, ValidationError


class Remembered(Dataset):
    """Keeps nothing; says what it was built with."""

    def __init__(self, filepath, load_args=None, credentials=None, version=None):
        if filepath == "refused":
            raise ValueError(f"no entry with {credentials}")
        self.filepath, self.load_args, self.credentials, self.version = (
            filepath,
            load_args,
            credentials,
            version,
        )

    def load(self):
        raise PermissionError(f"login failed for {self.credentials}")

    def save(self, data):
        raise OSError("disk full")

    def exists(self):
        raise RuntimeError("unreachable")

    def describe(self):
        return f"{self.filepath} as {self.credentials}"


class Plain(Dataset):
    def __init__(self, filepath):
        self.filepath = filepath

    def load(self):
        return self.filepath

    def save(self, data):
        pass


TYPES = {"remembered": Remembered, "plain": Plain, "memory": MemoryDataset}


def types(name):
    if name not in TYPES:
        raise PluginError(f"there is no dataset type {name!r}; installed: {', '.join(sorted(TYPES))}")
    return TYPES[name]


def from_config(catalog, **options):
    return Datasets.from_config(catalog, types=types, **options)


def test_values_are_declared_in_memory_and_the_object_itself_is_kept():
    frame = pd.DataFrame({"a": [1]})
    datasets = Datasets({"frame": frame, "nothing": None})
    assert "frame" in datasets
    assert datasets.names() == ["frame", "nothing"]
    assert datasets.value("frame") is frame
    assert datasets.has_value("nothing")
    assert datasets.value("nothing") is None
    assert not datasets.is_persistent("frame")
    assert datasets.copy_mode("frame") is None


def test_an_undeclared_name_lives_in_memory_and_is_not_in_the_datasets():
    datasets = Datasets({"flights": 1})
    assert "fligths" not in datasets
    assert not datasets.is_persistent("fligths")
    assert not datasets.has_value("fligths")
    assert datasets.check(["fligths"]) == []
    assert datasets.describe("fligths") == "memory"
    assert not datasets.exists("fligths")
    with pytest.raises(DatasetError, match=r"fligths: no such dataset is declared; did you mean flights\?"):
        datasets["fligths"]


def test_objects_are_used_as_they_are():
    given = Plain("x")
    datasets = Datasets({"given": given})
    assert datasets["given"] is given
    assert datasets.builder("given")() is given
    assert datasets.is_persistent("given")
    assert pickle.loads(pickle.dumps(datasets.builder("given")))().load() == "x"


def test_assigning_wraps_values_and_says_what_is_replaced(caplog):
    datasets = Datasets({"a": 1})
    datasets["b"] = 2
    assert caplog.text == ""
    datasets["a"] = 3
    assert datasets.value("a") == 3
    assert "dataset a is replaced" in caplog.text


def test_values_of_a_run_are_laid_over_a_copy():
    datasets = from_config({"a": {"type": "plain", "filepath": "x"}, "b": {"type": "memory", "copy_mode": "assign"}})
    given = [1]
    run = datasets.with_values({"a": 1, "b": given})
    assert run.value("a") == 1
    assert not run.is_persistent("a")
    assert run.copy_mode("b") == "assign"
    assert run["b"].load() is given
    assert datasets.is_persistent("a")
    assert not datasets.has_value("b")


def test_an_entry_becomes_a_recipe_that_builds_the_dataset_in_any_process():
    datasets = from_config({"a": {"type": "plain", "filepath": "x", "metadata": {"owner": "me"}}})
    recipe = pickle.loads(pickle.dumps(datasets.builder("a")))
    assert isinstance(recipe, Recipe)
    assert recipe().load() == "x"
    assert datasets["a"] is datasets["a"]


def test_what_a_constructor_does_to_its_options_does_not_reach_the_next_one():
    recipe = from_config({"a": {"type": "remembered", "filepath": "x", "load_args": {"k": [1]}}}).builder("a")
    recipe().load_args["k"].append(2)
    assert recipe().load_args == {"k": [1]}


def test_relative_paths_are_below_the_folder_and_urls_are_left_alone(tmp_path):
    datasets = from_config(
        {
            "a": {"type": "plain", "filepath": "data/x"},
            "b": {"type": "plain", "filepath": "s3://bucket/x"},
            "c": {"type": "plain", "filepath": "/there/x"},
        },
        folder=tmp_path,
    )
    assert datasets["a"].filepath == str(tmp_path / "data/x")
    assert datasets["b"].filepath == "s3://bucket/x"
    assert datasets["c"].filepath == "/there/x"


def test_all_problems_of_entries_are_told_a_line_each():
    datasets = from_config(
        {
            "no_type": {"filepath": "x"},
            "odd_type": {"type": 3},
            "unknown": {"type": "cvs", "filepath": "x"},
            "text": "data.csv",
            "two": {"type": "remembered", "file": "x", "credentials": "nobody"},
            "unversioned": {"type": "plain", "filepath": "x", "versioned": True},
            "maybe": {"type": "plain", "filepath": "x", "versioned": "yes"},
            "version": {"type": "remembered", "filepath": "x", "version": "2"},
            "good": {"type": "plain", "filepath": "x"},
            "_anchor": {"nothing": "checked"},
        }
    )
    with pytest.raises(PluginError) as unknown:
        types("cvs")
    problems = datasets.check([*datasets.names(), "undeclared"])
    assert problems == [
        "no_type: its 'type' is missing",
        "odd_type: its 'type' is not a text",
        f"unknown: its type 'cvs' cannot be had: {unknown.value}",
        "text: an entry is a mapping with a 'type', not a str",
        "two: there are no credentials under the key 'nobody'; add them, or correct the key",
        "two: a Remembered does not take its options: missing a required argument: 'filepath'",
        "unversioned: it is 'versioned', but a Plain keeps no versions",
        "maybe: 'versioned' is true or false, not a str",
        "version: 'version' is no option: write 'versioned: true', and name the version to load for a run",
    ]
    assert "_anchor" not in datasets
    with pytest.raises(DatasetError, match=r"no_type: its 'type' is missing"):
        datasets["no_type"]


def test_a_type_whose_import_fails_is_a_problem_of_its_entry():
    def broken(name):
        raise RuntimeError("boom")

    datasets = Datasets.from_config({"a": {"type": "x"}}, types=broken)
    assert datasets.check(["a"]) == ["a: its type 'x' cannot be had: RuntimeError: boom"]
    assert datasets.is_persistent("a")


def test_errors_start_with_the_name_and_keep_their_cause():
    datasets = Datasets({"a": Remembered("x")})
    with pytest.raises(DatasetError, match=r"^a: cannot be saved: OSError: disk full$") as caught:
        datasets.save("a", 1)
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(DatasetError, match=r"^a: cannot be loaded: PermissionError"):
        datasets.load("a")
    with pytest.raises(DatasetError, match=r"^a: cannot be looked for: RuntimeError"):
        datasets.exists("a")
    with pytest.raises(DatasetError, match=r"^a: cannot be confirmed: TypeError: a Remembered keeps no checkpoint"):
        access.confirm("a", datasets["a"], None)


def test_none_is_not_saved():
    with pytest.raises(DatasetError, match=r"^a: Saving 'None' is refused"):
        access.save("a", MemoryDataset(), None)


def test_a_name_with_line_breaks_is_shown_on_one_line():
    name = "a\nERROR forged\x1b[2J"
    with pytest.raises(DatasetError) as caught:
        access.load(name, MemoryDataset())
    assert str(caught.value).startswith(r"a\nERROR forged\x1b[2J: ")
    assert "\n" not in from_config({name: {}}).check([name])[0]
    with pytest.raises(DatasetError) as caught:
        Datasets({"a\nb": 1})["a\nc"]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["ø-æ", "数据", "🛩️", "n" * 5000])
def test_names_in_any_script_and_of_any_length_work(name):
    datasets = from_config({name: {"type": "plain", "filepath": "x"}})
    assert datasets.check([name]) == []
    assert datasets.load(name) == "x"


SECRET = "hunter2-s3cr3t'x"


def entry_with_secret(**more):
    catalog = {"a": {"type": "remembered", "filepath": "x", "credentials": "login", **more}}
    return from_config(catalog, credentials={"login": {"user": "me", "key": {"password": SECRET}}})


def whole(error):
    """Every text that a traceback of this error could show."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def test_credentials_are_put_in_at_any_depth():
    datasets = from_config(
        {"a": {"type": "remembered", "filepath": "x", "load_args": {"deep": [{"credentials": "login"}]}}},
        credentials={"login": {"key": SECRET}},
    )
    assert datasets["a"].load_args == {"deep": [{"credentials": {"key": SECRET}}]}


def test_secrets_stand_in_no_message_and_no_repr():
    datasets = entry_with_secret()
    recipe = datasets.builder("a")
    with pytest.raises(DatasetError, match=r"^a: cannot be loaded: PermissionError: .*\*\*\*") as caught:
        access.load("a", pickle.loads(pickle.dumps(recipe))())
    said = [whole(caught.value), repr(recipe), str(recipe), datasets.describe("a"), repr(datasets)]
    assert not any("hunter2" in text for text in said)


def test_a_constructor_that_shows_its_secret_is_not_quoted():
    with pytest.raises(DatasetError, match=r"^a: cannot be built as Remembered: ValueError") as caught:
        entry_with_secret(filepath="refused")["a"]
    assert "hunter2" not in whole(caught.value)


def test_what_cannot_be_built_is_found_when_it_is_checked_be_it_only_saved():
    (problem,) = entry_with_secret(filepath="refused").check(["a"])
    assert problem.startswith("a: cannot be built as Remembered: ValueError")
    assert "hunter2" not in problem


def test_a_wrong_option_beside_credentials_is_told_without_them():
    problems = entry_with_secret(user="me").check(["a"])
    assert problems == ["a: a Remembered does not take its options: got an unexpected keyword argument 'user'"]


def test_a_missing_section_of_credentials_is_named():
    datasets = from_config(
        {"a": {"type": "remembered", "filepath": "x", "credentials": "other"}},
        credentials={"login": {"key": SECRET}},
    )
    assert datasets.check(["a"]) == ["a: there are no credentials under the key 'other'; add them, or correct the key"]


def test_an_empty_memory_dataset_cannot_be_loaded():
    with pytest.raises(DatasetError, match=r"holds no value yet"):
        MemoryDataset().load()
    datasets = from_config({"a": {"type": "memory"}})
    assert not datasets.has_value("a")
    with pytest.raises(DatasetError, match=r"^a: holds no value yet"):
        datasets.value("a")


def test_memory_hands_out_copies_as_the_mode_says():
    value = {"a": [1]}
    deep, flat, same = (MemoryDataset(value, mode) for mode in (None, "copy", "assign"))
    assert deep.load()["a"] is not value["a"]
    assert flat.load() is not value
    assert flat.load()["a"] is value["a"]
    assert same.load() is value
    array = MemoryDataset(np.zeros(3), "readonly").load()
    with pytest.raises(ValueError, match=r"read-only"):
        array[0] = 1
    with pytest.raises(DatasetError, match=r"copy_mode must be one of copy, deepcopy, assign, readonly"):
        MemoryDataset(1, "shallow")


class DataFrame:
    """A user's class that has the name of a library's."""

    def __init__(self):
        self.rows = [1]


def test_what_memory_hands_out_is_its_readers_own_whatever_its_type():
    for value in (DataFrame(), pd.DataFrame({"a": [[1]]}), np.zeros(2), pd.Series([[1]], dtype=object)):
        assert MemoryDataset(value).load() is not value
    own, frame, objects = DataFrame(), pd.DataFrame({"a": [[1]]}), np.array([[1], None], dtype=object)
    MemoryDataset(own).load().rows.append(2)
    MemoryDataset(frame).load()["a"][0].append(2)
    MemoryDataset(objects).load()[0].append(2)
    assert (own.rows, frame["a"][0], objects[0]) == ([1], [1], [1])


def test_what_is_done_to_a_saved_value_later_is_not_seen():
    dataset, value = MemoryDataset(), [1]
    dataset.save(value)
    value.append(2)
    assert dataset.load() == [1]
    dataset.release()
    assert not dataset.exists()


def test_pin_settles_the_newest_version_for_all_processes():
    class Kept(Plain):
        newest = "1"

        def __init__(self, filepath, version=None):
            super().__init__(filepath)
            self.version = version

        def newest_version(self):
            return self.newest

    datasets = Datasets.from_config(
        {"a": {"type": "kept", "filepath": "x", "versioned": True}}, types=lambda _: Kept, save_version="9"
    )
    mine = Kept("y", Version())
    datasets["mine"] = mine
    datasets.pin(["a", "mine", "undeclared"])
    Kept.newest = "2"
    assert datasets.builder("a")().version == Version("1", "9")
    assert datasets["mine"].version == Version("1", "9")
    assert mine.version == Version()
    datasets.pin(["a"])
    assert datasets["a"].version == Version("2", "9")


def test_each_run_saves_a_version_of_its_own_unless_one_is_given():
    datasets = Datasets({})
    first, second = datasets.with_values({}), datasets.with_values({})
    assert first.save_version == datasets.save_version
    given = from_config({}, save_version="v1")
    assert given.with_values({}).save_version == given.with_values({}).save_version == "v1"
    while second.save_version == first.save_version:  # within one millisecond
        second = datasets.with_values({})


def test_patterns_and_versions_that_cannot_be_are_told_together():
    with pytest.raises(ValidationError) as caught:
        from_config({}, save_version="../x", load_versions={"a": "1"})
    assert len(caught.value.problems) == 2


def test_the_catch_all_says_that_it_is_used(caplog):
    datasets = from_config({"{any}": {"type": "plain", "filepath": "{any}"}})
    with caplog.at_level(logging.WARNING):
        assert datasets.load("x") == "x"
        datasets.builder("x")
    assert caplog.text.count("x is made by the pattern '{any}'") == 1
    assert "params:x" not in datasets
    assert "parameters" not in datasets


def test_the_folder_may_be_a_relative_path(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    datasets = from_config({"a": {"type": "plain", "filepath": "../x"}}, folder=Path("conf"))
    assert datasets["a"].filepath == str(tmp_path / "x")
