"""Values as their readers get them: their own down to the objects inside, the same on every way, or refused by all."""

from __future__ import annotations

import re
import threading
import weakref
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from kernel import Runner, node, pipeline, run
from kernel.datasets import MemoryDataset
from kernel.errors import DatasetError, KernelError, PluginError, ValidationError
from kernel.plugins.installed import scan
from kernel.plugins.listing import describe
from kernel.values import Library, is_equal, libraries
from kernel.values.copying import copy_value
from kernel.values.pickling import dump, load, load_inline

EXECUTORS = ["sequential", "threads", "process_pool"]


class Info(np.ndarray):
    """An array with an attribute, as numpy's manual makes one."""

    def __array_finalize__(self, obj):
        self.info = getattr(obj, "info", None)


class Celsius(np.float64):
    """A number with an attribute."""


def info():
    array = np.arange(3.0).view(Info)
    array.info = {"unit": "m"}
    return array


def celsius():
    number = Celsius(21.5)
    number.place = "cellar"
    return number


def hard():
    return np.ma.MaskedArray([1.0, 2.0, 3.0], mask=[0, 1, 0], fill_value=-1, hard_mask=True)


KEPT = {
    "a hard mask": hard,
    "a mask that is not there": lambda: np.ma.MaskedArray([1, 2]),
    "a masked array of records": lambda: np.ma.array(
        [(1, 2.0)], mask=[(True, False)], dtype=[("a", int), ("b", float)]
    ),
    "attributes of an array's class": info,
    "attributes of a number's class": celsius,
    "dates": lambda: np.array(["2020-01-01", "NaT"], dtype="M8[ns]"),
    "dates by columns": lambda: np.asfortranarray(np.zeros((3, 2), dtype="M8[s]")),
    "times": lambda: np.array([1, 2], dtype="m8[h]"),
    "a locked array": lambda: np.broadcast_to(np.arange(3), (3,)),
    "an array with gaps": lambda: np.arange(10)[::3],
    "an array by columns": lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "a structure": lambda: np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])[0],
    "objects": lambda: np.array([[1], None, "a"], dtype=object),
    "a frame of dates, texts and lists": lambda: pd.DataFrame(
        {"t": pd.to_datetime(["2020-01-01", None]), "s": ["a", None], "l": [[1], []]},
        index=pd.Index(["x", "y"], name="i"),
    ),
    "a frame with notes": lambda: noted(pd.DataFrame({"a": [1]})),
    "a slice of a table": lambda: pa.table({"a": [1.5, float("nan"), None], "b": ["x", "y", "z"]}).slice(1),
    "batches": lambda: pa.table({"a": range(10)}).to_batches(max_chunksize=3),
    "a slice of categories": lambda: pa.array(["a", "b", "a"] * 10).dictionary_encode()[4:7],
    "a polars frame": lambda: pl.DataFrame({"a": [1, None], "b": [["x"], []], "c": [{"k": 1}, None]}),
}


def noted(frame):
    frame.attrs["source"] = ["here"]
    return frame


@pytest.mark.parametrize("make", KEPT.values(), ids=KEPT)
def test_a_value_arrives_as_it_was_on_every_way(make):
    value = make()
    assert is_equal(copy_value(value), value)
    assert is_equal(load_inline("x", dump("x", value).inline()), value)
    assert is_equal(value, make()), "what was given is as it was"


class Both:
    """Holds two things that are one."""

    def __init__(self):
        self.one = self.other = [1]


class Slots:
    __slots__ = ("members",)

    def __init__(self, *members):
        self.members = [*members]


def looped(last):
    found = [1]
    found += [found, last]
    return found


SAME = {
    "values that hold themselves": looped,
    "objects with slots": Slots,
    "exceptions": ValueError,
    "iterators": lambda last: iter([1, last]),
    "numbers with attributes": lambda last: marked(Celsius(1.5), last),
    "numbers of numpy": np.float64,
    "records": lambda last: np.array([(1, last)], dtype=[("a", "i4"), ("b", "f8")])[0],
    "some fields of an array": lambda last: np.array([(1, 5, last)] * 3, dtype="i4,f8,f8")[["f0", "f2"]],
    "sources of random numbers": Random,
}


def marked(number, last):
    number.last = last
    return number


@pytest.mark.parametrize("make", SAME.values(), ids=SAME)
def test_values_are_equal_if_they_are_the_same_to_a_reader(make):
    assert is_equal(make(1), make(1))
    assert not is_equal(make(1), make(2))


def test_what_lies_between_the_fields_of_an_array_does_not_count():
    one, other = (np.array([(1, hidden, 2)] * 3, dtype="i4,f8,f8")[["f0", "f2"]] for hidden in (5, 6))
    assert is_equal(one, other)


def test_having_no_attributes_is_the_same_however_a_value_says_it():
    assert is_equal(Told(()), Told((None,)))
    assert is_equal(Told(()), Told(({},)))
    assert not is_equal(Told(({},)), Told(({"a": 1},)))


class Told:
    """A value whose parts are what it was told: a list, and the state after it, if there is one."""

    def __init__(self, state):
        self.state = state

    def __reduce_ex__(self, protocol):
        return (list, (), *self.state)


def test_functions_are_equal_to_themselves_alone():
    assert is_equal(make_list, make_list)
    assert not is_equal(make_list, clear)


def test_a_record_that_was_read_can_be_changed():
    record = np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])[0]
    for got in (copy_value(record), load_inline("x", dump("x", record).inline())):
        got["a"] = 9
        assert (got["a"], record["a"]) == (9, 1)


def test_what_is_one_object_in_a_value_is_one_in_what_its_reader_gets():
    got = copy_value({"both": Both(), "array": (array := np.arange(3)), "same": array})
    assert got["both"].one is got["both"].other
    assert got["array"] is got["same"]


REFUSED = {
    "memoryview": lambda: memoryview(b"abc"),
    "dict_keys": {}.keys,
    "dict_values": {"a": 1}.values,
    "re.Match": lambda: re.match("a", "a"),
    "weakref.ReferenceType": lambda: weakref.ref(Both),
    "_thread.lock": threading.Lock,
    "generator": lambda: (n for n in ()),
}


def pass_on(name):
    """Make what has this name."""
    return [REFUSED[name]()]


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_refused_by_all_with_the_librarys_own_reason(name):
    said = set()
    for executor in EXECUTORS:
        flow = pipeline([node(pass_on, "name", "x", name="make"), node(len, "x", "n", name="read")])
        with pytest.raises(KernelError) as refused:
            run(flow, {"name": name}, executor=executor)
        assert "make" in str(refused.value)
        said.add(re.search("x: a value of type 'list' cannot be serialised: [^:]*: .*? object", str(refused.value))[0])
    (reason,) = said
    assert name in reason


def touch(file):
    Path(file).touch()
    return file


@pytest.mark.parametrize("name", REFUSED)
def test_a_given_value_that_is_refused_is_refused_before_any_node_runs(name, tmp_path):
    ran = tmp_path / "ran"
    for executor in EXECUTORS:
        flow = pipeline([node(touch, "file", "touched", name="first"), node(len, "x", "n", name="read")])
        flow += pipeline([node(len, "y", "m", name="read_more")])
        given = {"x": [REFUSED[name]()], "y": [REFUSED[name]()], "file": str(ran)}
        with pytest.raises(ValidationError, match="x: a value of type 'list' cannot be serialised") as refused:
            run(flow, given, executor=executor)
        said = "\n".join(refused.value.problems)
        assert "(read by: read)" in said
        assert "(read by: read_more)" in said, "all at once"
        assert not ran.exists()


@pytest.mark.skipif(pl.__version__.startswith("1."), reason="early polars panics, which is no ordinary exception")
def test_the_reason_of_a_library_is_told():
    frame = pl.DataFrame({"a": [object()]}, schema={"a": pl.Object})
    with pytest.raises(
        DatasetError, match=r"x: a value of type 'DataFrame' cannot be serialised: ComputeError: .*[Oo]bject"
    ):
        dump("x", frame)


# ---- what is written


def written(value):
    return len(dump("x", value))


def test_slices_of_one_table_are_written_as_what_they_show():
    table = pa.table({"a": np.arange(1_000_000.0)})
    whole = written(table)
    assert written(table.to_batches(max_chunksize=50_000)) < 1.1 * whole
    assert written(table.slice(10, 100)) < 20_000
    assert written([table, table, table["a"]]) < 1.1 * whole
    halves = [table.slice(start, 500_000) for start in range(0, 500_000, 50_000)]
    assert written(halves) < 1.1 * whole, "they share their memory"


def test_a_slice_of_categories_leaves_out_the_rest():
    categories = pa.array(["a", "b", "c"] * 100_000).dictionary_encode()
    assert written(categories[5:10]) < 20_000


def test_what_two_arrays_share_is_each_readers_own():
    array = np.arange(10.0)
    one, other = load_inline("x", dump("x", [array, array[:]]).inline())
    one[0] = 7
    assert other[0] == 0


@pytest.mark.parametrize("make", [KEPT[kind] for kind in ("dates", "dates by columns", "times", "a hard mask")])
def test_large_arrays_of_any_type_are_left_out_of_the_pickle(make):
    value = (
        np.ma.concatenate([make()] * 10_000) if isinstance(make(), np.ma.MaskedArray) else np.tile(make(), (10_000, 1))
    )
    dumped = dump("x", value)
    assert len(dumped.stream) < 2_000
    assert sum(buffer.nbytes for buffer in dumped.buffers) >= value.nbytes


@pytest.mark.parametrize(
    "array",
    [np.arange(40_000.0)[::-2], np.arange(40_000).reshape(2, -1).T[::2], np.arange(40_000).view("M8[s]")[::2]],
    ids=str,
)
def test_arrays_with_gaps_are_packed_and_left_out_of_the_pickle(array):
    dumped = dump("x", {"a": array})
    assert len(dumped.stream) < 1_000
    assert sum(buffer.nbytes for buffer in dumped.buffers) == array.nbytes
    assert is_equal(load_inline("x", dumped.inline())["a"], array)


# ---- state


def draw(source):
    return source.random()


@pytest.mark.parametrize("source", [np.random.default_rng(1), np.random.RandomState(1), Random(1)], ids=repr)
def test_copies_of_a_source_of_random_numbers_are_warned_of_before_the_run(source):
    flow = pipeline([node(draw, "source", name, name=name) for name in ("a", "b")])
    with pytest.warns(UserWarning, match=r"dataset 'source', a \w+, changes when it is read, and nodes 'a', 'b'"):
        result = run(flow, {"source": source})
    assert result["a"] == result["b"]
    shared = run(flow, {"source": MemoryDataset(source, copy_mode="assign")})
    assert shared["a"] != shared["b"]
    run(pipeline([node(draw, "source", "a")]), {"source": source})


def test_an_iterator_that_two_nodes_read_is_warned_of():
    flow = pipeline([node(sum, "numbers", name, name=name) for name in ("a", "b")])
    with pytest.warns(UserWarning, match=r"dataset 'numbers', a list_iterator, changes when it is read"):
        run(flow, {"numbers": iter([1, 2])})


# ---- listeners


class Keeps:
    """Keeps, and changes, what it is shown."""

    def __init__(self, hook):
        self.kept = []
        from kernel import hookimpl

        def listen(dataset_name, data):
            if dataset_name == "made":
                self.kept.append(data)
                data.append("listened")

        setattr(self, hook, hookimpl(listen))


def make_list(x):
    return [x]


def clear(values):
    found = list(values)
    values.clear()
    return found


@pytest.mark.parametrize("executor", ["sequential", "process_pool"])
@pytest.mark.parametrize("hook", ["before_dataset_saved", "after_dataset_saved", "after_dataset_loaded"])
def test_what_listeners_do_to_a_value_is_the_same_in_a_chain_and_without(executor, hook):
    got = []
    for retries in (0, 1):  # a reader that may be run again loads its inputs afresh
        keeps = Keeps(hook)
        flow = pipeline([node(make_list, "x", "made"), node(clear, "made", "found", retries=retries)])
        with Runner(executor, hooks=[keeps]) as runner:
            got.append(runner.run(flow, {"x": 1})["found"])
        if executor == "sequential" and hook != "after_dataset_loaded":
            assert keeps.kept == [[1, "listened"]], "what it keeps is not what the next node gets"
    assert got[0] == got[1]


# ---- the registry


class Oil:
    """A value of a stranger's library."""

    def __init__(self):
        self.amount = 1


def test_a_stranger_says_how_values_of_a_library_are_pickled(monkeypatch):
    def reducer(kind):
        return (lambda oil: (int, (oil.amount,))) if kind is Oil else None

    monkeypatch.setitem(libraries._entries, Oil.__module__, "a_stranger:LIBRARY")
    monkeypatch.setattr(libraries, "_of_type", {Oil: Library(reducer=reducer)})
    assert load("x", dump("x", [[Oil()]]).stream, ()) == [[1]]


def test_a_library_that_cannot_be_loaded_is_named(monkeypatch):
    monkeypatch.setitem(libraries._entries, "a_library", "no_such_plugin:LIBRARY")
    kind = type("Thing", (), {"__module__": "a_library.things"})
    with pytest.raises(PluginError, match=r"values of 'a_library' cannot be loaded from 'no_such_plugin:LIBRARY'"):
        libraries.library_of(kind)


def test_the_list_of_plugins_says_what_each_is_about():
    told = {info.name: info.doc for info in describe(load=True) if info.kind == "values"}
    assert told["numpy"].startswith("Values of numpy: ")
    assert len({told[name] for name in ("numpy", "pandas", "polars", "pyarrow")}) == 4


def test_what_every_process_knows_by_itself_is_what_is_installed():
    assert {entry.name: entry.value for entry in scan()["values"]} == dict(libraries.VALUES)
    assert libraries.registered() == {}
