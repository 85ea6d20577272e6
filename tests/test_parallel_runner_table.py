"""The table of the parallel runner's behaviour: no row is missing, and every test that it names is there."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "parallel-runner.md"
#: How many rows there are under each letter or word.
ROWS = {"P": 10, "V": 9, "M": 8, "W": 8, "C": 8, "R": 6, "S": 6, "E": 8, "G": 6, "A": 7, "L": 7, "K": 3, "N": 6}
ROWS |= {"T": 5, "O": 7, "D": 22, "node-": 11, "pipeline-": 11, "entry-": 6, "pattern-": 2, "version-": 2}
ROWS |= {"flag-": 3, "memory-": 1, "hook-": 11, "cli-": 11}
LEFT_OUT = {"node-11", "entry-6", "cli-10"}
TEST = re.compile(r"`(tests/\w+\.py)::(\w+)`")


def rows():
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| ") and not line.startswith(("| id ", "| --- ")):
            yield [cell.strip() for cell in line.strip("|").split("|")]


@cache
def names_in(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")}


def test_every_row_is_there_once_and_in_order_under_its_letter():
    ids = [row[0] for row in rows()]
    expected = {f"{letter}{number}" for letter, count in ROWS.items() for number in range(1, count + 1)}
    assert len(ids) == len(set(ids))
    assert set(ids) == expected
    for letter, count in ROWS.items():
        ours = [each for each in ids if re.fullmatch(re.escape(letter) + r"\d+", each)]
        assert ours == [f"{letter}{number}" for number in range(1, count + 1)]


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row[0])
def test_a_row_says_what_where_and_by_which_tests_it_is_held(row):
    assert len(row) == 5
    name, what, where, held, remark = row
    assert what
    if name in LEFT_OUT:
        assert remark.startswith("left out")
        assert not where
        assert not held
        return
    assert where
    found = TEST.findall(held)
    assert found
    missing = [f"{path}::{test}" for path, test in found if not (ROOT / path).exists() or test not in names_in(path)]
    assert not missing
    assert not TEST.sub("", held).strip(", ")
