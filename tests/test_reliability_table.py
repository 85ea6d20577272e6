"""The table of promises: none is missing, each names tests that are there, and each of these has a time limit."""

from __future__ import annotations

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"
PROMISES = [f"R{number}" for number in range(1, 24)]
TEST = re.compile(r"`((?:tests|kernel/testing)/\w+\.py)::(test_\w+)`")
#: The longest that a single test may take before it counts as a hang (seconds).
LIMIT_S = 300


def rows():
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("| R"):
            yield [cell.strip() for cell in line.strip("|").split("|")]


@cache
def names_in(path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8")) if (ROOT / path).exists() else ast.Module([], [])
    return {each.name for each in ast.walk(tree) if isinstance(each, ast.FunctionDef) and each.name.startswith("test_")}


def test_every_promise_is_there_once_and_in_order():
    assert [row[0] for row in rows()] == PROMISES


@pytest.mark.parametrize("row", list(rows()), ids=lambda row: row[0])
def test_a_promise_names_tests_that_exist_and_nothing_else(row):
    _, promise, held = row
    found = TEST.findall(held)
    assert promise.startswith("**")
    assert found
    assert [f"{path}::{name}" for path, name in found if name not in names_in(path)] == []
    assert TEST.sub("", held).strip(", ") == ""


def test_every_test_of_reliability_holds_a_promise():
    held = {f"{path}::{name}" for row in rows() for path, name in TEST.findall(row[2])}
    files = [path for path in sorted(ROOT.glob("tests/test_reliability_*.py")) if path != Path(__file__)]
    ours = {f"tests/{path.name}::{name}" for path in files for name in names_in(f"tests/{path.name}")}
    assert ours - held == set()


def test_every_test_of_a_promise_has_a_time_limit():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["pytest"]["ini_options"]
    assert 0 < options["timeout"] <= LIMIT_S
    for path in {path for row in rows() for path, _ in TEST.findall(row[2])}:
        lengths = re.findall(r"mark\.timeout\((\d+)", (ROOT / path).read_text(encoding="utf-8"))
        assert all(0 < int(length) <= LIMIT_S for length in lengths), path


def test_what_is_not_promised_is_said():
    text = PAGE.read_text(encoding="utf-8").partition("## Plainly not promised")[2]
    for words in (
        "exactly once",
        "hostile",
        "death of its driver",
        "fresh_process",
        "platform",
        "datasets that are not ours",
    ):
        assert words in text
