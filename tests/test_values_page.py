"""The page about values: what it says of each kind is what all executors do.

`WRITE_DOCS=1 python -m pytest tests/test_values_page.py` writes its tables anew.
"""

from __future__ import annotations

import itertools
import os
import warnings

import pytest

import value_nodes
import values_page
from everywhere import WAYS, everywhere
from kernel import node
from kernel.errors import NodeError, ValidationError
from kernel.values import is_equal
from kernel.values.copying import copy_value
from value_kinds import GROUPS, KINDS, REFUSED

pytestmark = pytest.mark.usefixtures("pickles_of_python")

MEASURED = {}


@pytest.fixture(scope="module")
def all_ways():
    with everywhere() as ways:
        yield ways


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_of_value_is_the_same_for_every_reader_on_every_executor(all_ways, name):
    kind, told = KINDS[name], {}
    given = kind.make()
    for way in WAYS:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "dataset 'given', .*, changes when it is read", UserWarning)
            result = all_ways.run(way, value_nodes.nodes(), {"kind": name, "given": given})
        with result:
            seen = [*result["second"], *result["given second"], value_nodes.look(name, value := result["result"])]
            value_nodes.change(name, value)
            seen.append(value_nodes.look(name, result["result"]))
            held_first, held_second = result["held second"]
            chained = result["chained"]
        for each in (chained, held_first, held_second):
            assert each["equal"], way
            assert each["type"] == type(given).__name__, way
        told[way] = seen
    assert is_equal(kind.view(given), kind.view(kind.make())), "what was given is as it was"
    rows = [*itertools.chain(*told.values())]
    assert [row for row in rows if row != rows[0]] == [], told
    assert rows[0] == {"type": type(given).__name__, "equal": True, "lost": list(kind.lost)}
    MEASURED[name] = rows[0]


@pytest.mark.parametrize("name", KINDS)
def test_a_change_of_a_value_is_one_that_would_be_seen(name):
    changed = copy_value(KINDS[name].make())
    value_nodes.change(name, changed)
    told = value_nodes.look(name, changed)
    assert told["equal"] is (KINDS[name].change is None)


def pass_on(name):
    return REFUSED[name].make()


@pytest.mark.parametrize("name", [name for name, kind in REFUSED.items() if kind.is_there])
def test_a_value_is_refused_by_every_executor_for_the_same_reason(all_ways, name):
    said = set()
    for way in WAYS:
        made = [node(pass_on, "name", "x", name="make"), node(id, "x", "y", name="read")]
        with pytest.raises(NodeError, match="make") as refused:
            all_ways.run(way, made, {"name": name})
        given = [node(id, "x", "y", name="read")]
        with pytest.raises(ValidationError, match="read") as refused_at_once:
            all_ways.run(way, given, {"x": REFUSED[name].make()})
        for error in (refused, refused_at_once):
            text = str(error.value)
            assert "cannot be serialised" in text
            assert REFUSED[name].refused in text
            said.add(text[text.index("x: a value of type") :].partition(". Each reader")[0])
    assert len(said) == 1


def test_the_page_says_what_was_measured():
    assert MEASURED.keys() == KINDS.keys(), "run all tests of this file"
    if os.environ.get("WRITE_DOCS"):
        values_page.write(values_page.tables(MEASURED))
    told = values_page.rows_of_page()
    for group, kinds in GROUPS.items():
        for kind in kinds:
            name = f"{group}: {kind.name}"
            assert kind.is_there is (name in MEASURED)
            if kind.is_there:
                assert told[name] == values_page.row_of(kind, MEASURED[name])
    for name, kind in REFUSED.items():
        assert told[f"Refused: {name}"] == values_page.refused_row(kind)


def test_the_page_has_each_kind_once_and_no_other():
    names = [f"{group}: {kind.name}" for group, kinds in GROUPS.items() for kind in kinds]
    assert list(values_page.rows_of_page()) == [*names, *(f"Refused: {name}" for name in REFUSED)]
