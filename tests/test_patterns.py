"""Names with placeholders: what they match, in which order, and what may stand for a placeholder."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.datasets import Dataset, Datasets
from kernel.datasets.patterns import pattern, sorted_patterns
from kernel.errors import DatasetError, ValidationError


class Placed(Dataset):
    def __init__(self, filepath="", **options):
        self.filepath, self.options = filepath, options

    def load(self):
        return self.filepath

    def save(self, data):
        pass


def declared(catalog):
    return Datasets.from_config(catalog, types=lambda _: Placed)


def entry(filepath, **options):
    return {"type": "placed", "filepath": filepath, **options}


def test_placeholders_are_replaced_at_any_depth():
    datasets = declared({"{layer}.{name}": entry("data/{layer}/{name}.csv", load_args={"sheets": ["{name}"]})})
    dataset = datasets["raw.flights"]
    assert dataset.filepath == "data/raw/flights.csv"
    assert dataset.options == {"load_args": {"sheets": ["flights"]}}
    assert "flights" not in datasets


def test_a_declared_name_comes_before_patterns():
    datasets = declared({"{n}_csv": entry("pattern"), "raw_csv": entry("own")})
    assert datasets.load("raw_csv") == "own"


def test_the_most_specific_pattern_is_tried_first():
    texts = ["{any}", "{a}_{b}", "{b}_model", "raw_{a}", "{x}.{y}.csv", "{x}.csv2"]
    ordered = [each.text for each in sorted_patterns(texts)]
    assert ordered == ["{b}_model", "{x}.csv2", "{x}.{y}.csv", "raw_{a}", "{a}_{b}", "{any}"]


def test_a_placeholder_that_stands_twice_stands_for_the_same():
    twice = pattern("{a}_{b}_{a}")
    assert twice.match("x_y_x") == {"a": "x", "b": "y"}
    assert twice.match("x_y_z") is None


def test_characters_that_mean_something_elsewhere_are_themselves():
    assert pattern("a.b*{n}").match("a.b*c") == {"n": "c"}
    assert pattern("a.b*{n}").match("axb*c") is None


def test_two_patterns_that_match_everything_are_refused():
    with pytest.raises(ValidationError, match=r"only one pattern may match every name.*\{a\}, \{b\}"):
        declared({"{a}": entry("x"), "{b}": entry("y")})


@pytest.mark.parametrize("name", ["{a", "a}", "{}", "{a-b}_x", "{{a}}"])
def test_braces_that_hold_no_name_are_refused(name):
    with pytest.raises(ValidationError, match="placeholders are written"):
        declared({name: entry("x")})


def test_a_placeholder_must_be_in_the_name_of_its_pattern():
    problems = declared({"{a}_x": entry("{a}/{b}/{b}")}).check(["q_x"])
    assert problems == ["q_x: placeholder {b} is not in the name of its pattern '{a}_x'"]


CLIMBING = [
    "../x",
    "..",
    "a/b",
    "/etc/x",
    "a\\b",
    "a\0b",
    "a\nb",
    ".",
    "...",
    "a..b",
    "\x7f",
    "a\u2028b",
    "\ud800",
]


@pytest.mark.parametrize("value", CLIMBING)
def test_what_could_leave_its_folder_may_not_stand_for_a_placeholder(value):
    datasets = declared({"{n}_csv": entry("data/{n}.csv")})
    (problem,) = datasets.check([f"{value}_csv"])
    assert "may not stand for {n} of pattern '{n}_csv'" in problem
    assert problem.isprintable()
    with pytest.raises(DatasetError, match="may not stand for"):
        datasets[f"{value}_csv"]


def test_a_value_that_ends_up_nowhere_may_be_anything():
    assert declared({"{n}_csv": entry("data/all.csv")}).load("../x_csv") == "data/all.csv"


@given(st.lists(st.text(min_size=1), min_size=2, max_size=3))
def test_no_name_ever_leads_a_path_out_of_its_folder(values):
    datasets = declared({"{a}|{b}": entry("data/{a}{b}"), "{a}|{b}|{c}": entry("data/.{a}/{b}{c}/x")})
    name = "|".join(values)
    if datasets.check([name]) or name not in datasets:
        return
    parts = PurePosixPath(datasets[name].filepath).parts
    assert parts[0] == "data"
    assert ".." not in parts
    assert len(parts) in {2, 4}
    assert "\0" not in datasets[name].filepath


@given(st.text(alphabet="abc_.", min_size=1), st.text(alphabet="abc_.", min_size=1))
def test_a_name_made_from_a_pattern_matches_it(first, second):
    found = pattern("{x}-{y}").match(f"{first}-{second}")
    assert found == {"x": first, "y": second}


@given(st.permutations(["{a}_x", "{a}_{b}", "x_{a}", "{all}", "{a}.{b}_x"]))
def test_the_order_of_patterns_does_not_depend_on_the_order_of_entries(texts):
    assert [each.text for each in sorted_patterns(texts)] == [
        "{a}.{b}_x",
        "x_{a}",
        "{a}_x",
        "{a}_{b}",
        "{all}",
    ] or [each.text for each in sorted_patterns(texts)] == [each.text for each in sorted_patterns(sorted(texts))]
