"""Whose a value is: only what nobody else holds, or can change, goes on to the next node without a copy."""

from __future__ import annotations

import weakref
from array import array
from functools import lru_cache

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from kernel.values import ownership
from kernel.values.ownership import PRIVATE_MEMORY, sole_owner

KEPT = np.arange(10.0)
CACHED = {"numbers": [1, 2, 3], "array": np.arange(4)}


def held(make):
    """Ask as a runner does that has called a function: one variable of its own holds what came back."""
    value = make()
    return sole_owner(value, 1)


def frame():
    return pd.DataFrame(
        {
            "number": np.arange(4) * 1.5,
            "count": pd.array([1, 2, None, 4], dtype="Int64"),
            "when": pd.to_datetime(range(4)),
            "there": pd.to_datetime(range(4), utc=True),
        }
    )


def frame_of_text():
    return pd.DataFrame({"number": [1.0], "text": pd.array(["a"], dtype="string[pyarrow]")})


def reversed_values():
    return pd.DataFrame(np.arange(6.0).reshape(2, 3)).iloc[::-1].reset_index(drop=True) + 1


def mapped():
    class Memory(bytearray):
        """What a catalog maps for one reader: it can have attributes."""

    memory = Memory(80)
    setattr(memory, PRIVATE_MEMORY, True)
    view = memoryview(memory)
    return [np.frombuffer(view[:40]), np.frombuffer(view[40:])]


OWN = {
    "numbers and text": lambda: (1, 2.5, 1j, True, "text", b"bytes", None),
    "a new array": lambda: np.arange(10),
    "a reshaped new array": lambda: np.arange(10).reshape(2, 5),
    "an array over its own bytes": lambda: np.frombuffer(bytearray(80)).reshape(2, 5),
    "arrays over one private mapping": mapped,
    "a numpy scalar": lambda: KEPT[3],
    "a frame": frame,
    "a computed frame": reversed_values,
    "a filtered frame": lambda: frame().query("number > 1"),
    "a grouped frame": lambda: frame().groupby("count").agg({"number": "sum"}),
    "a series": lambda: frame()["number"] + 1,
    "a frame of texts": frame_of_text,
    "a frame with an index over an array in a module": lambda: pd.DataFrame({"a": MANY}, index=pd.Index(MANY)),
    "a frame with labels of a frame in a module": lambda: LABELLED * 2,
    "new containers of new values": lambda: [{"a": {1, 2}, "b": (np.arange(3), [None])}, []],
    "a constant tuple": lambda: (1, ("two", 3.0)),
    "a large bytes object that others hold": lambda: TEXT,
}
LISTS = pd.ArrowDtype(pa.list_(pa.int64()))
LABELLED = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index(["p", "q"], name="row"))
TEXT = b"x" * 10_000


#: Before version 3 a frame shares what it lends with whoever got it, so it is never anybody's own.
FRAMES_CAN_BE_OWN = int(pd.__version__.partition(".")[0]) >= 3


@pytest.mark.parametrize("make", OWN.values(), ids=OWN)
def test_it_is_the_callers_own(make):
    is_of_pandas = type(make()).__module__.startswith("pandas.")
    assert held(make) is (FRAMES_CAN_BE_OWN or not is_of_pandas)


class Cache:
    """Holds what it made, in one way or another."""

    def __init__(self):
        self.value = np.arange(5)
        self.weak = weakref.WeakValueDictionary()

    @staticmethod
    @lru_cache
    def remembered():
        return [1, 2]

    def own_attributes(self):
        return vars(self)

    def weakly(self):
        return self.weak.setdefault("key", np.arange(5))

    def weak_frame(self):
        made = frame()
        self.weak = weakref.ref(made)
        return made


CACHE = Cache()


def itself():
    looped = [1]
    looped.append(looped)
    return looped


def locked():
    made = np.arange(5)
    made.flags.writeable = False
    return made


def with_attribute():
    made = frame()
    object.__setattr__(made, "cache", [1])
    return made


def with_attrs():
    made = frame()
    made.attrs["source"] = CACHED
    return made


def kept_column():
    made = frame()
    Cache.column = made["number"]
    return made


def kept_column_of_two():
    made = frame()
    Cache.mask = made["count"].array._mask
    return made


def suspended():
    made = [1, 2]
    yield made
    made.append(3)


def yielded():
    Cache.generator = suspended()
    return next(Cache.generator)


def closed_over():
    made = [1]
    Cache.closure = lambda: made
    return made


def viewed():
    made = np.arange(5)
    Cache.view = memoryview(made)
    return made


def exported():
    made = np.arange(5)
    Cache.table = pa.array(made)
    return made


def failed():
    made = [1]
    try:
        raise ValueError
    except ValueError as error:
        Cache.error = error
    return made


OTHERS = {
    "an array in a module": lambda: KEPT,
    "a view of an array in a module": lambda: KEPT[2:5],
    "a view of a view of it": lambda: KEPT[2:][:3].reshape(3, 1),
    "a member of a dict in a module": lambda: CACHED["numbers"],
    "a new list with such a member": lambda: [1, CACHED["array"]],
    "a shallow copy of such a dict": lambda: dict(CACHED),
    "a constant tuple with such a member": lambda: PAIR,
    "what a cache remembers": Cache.remembered,
    "what a cache could bring back": CACHE.weakly,
    "a frame that a cache could bring back": CACHE.weak_frame,
    "the attributes of an object": CACHE.own_attributes,
    "what a generator goes on with": yielded,
    "what a function closes over": closed_over,
    "what a traceback holds": failed,
    "an array with a view elsewhere": viewed,
    "an array that Arrow looks at": exported,
    "a list that contains itself": itself,
    "the same list twice": lambda: [CACHED["numbers"][:]] * 2,
    "an array that cannot be written": locked,
    "an array of objects": lambda: np.array([[1], None], dtype=object),
    "an array over memory of somebody else": lambda: np.frombuffer(array("d", [1.0, 2.0])),
    "an array over bytes in a module": lambda: np.frombuffer(BYTES, dtype="u1"),
    "a structure within an array": lambda: np.zeros(3, dtype=[("a", "i4")])[0],
    "a frame over an array in a module": lambda: pd.DataFrame({"a": KEPT}, copy=False),
    "a table over an array in a module": lambda: pd.DataFrame(KEPT.reshape(5, 2), copy=False),
    "a series over an array in a module": lambda: pd.Series(KEPT, copy=False),
    "a frame in a module": lambda: FRAME,
    "a view of a frame in a module": lambda: FRAME[:],
    "a column of a frame in a module": lambda: FRAME["number"],
    "a frame with a column kept": kept_column,
    "a frame with a mask kept": kept_column_of_two,
    "a frame with attributes": with_attribute,
    "a frame with notes": with_attrs,
    "a frame with categories of a type in a module": lambda: pd.DataFrame({"a": pd.Categorical(["x"], dtype=SIZES)}),
    "a frame of objects": lambda: pd.DataFrame({"a": [[1], [2]]}),
    "a frame of lists, whose memory is Arrow's": lambda: pd.DataFrame({"a": pd.array([[1]], dtype=LISTS)}),
    "an Arrow table": lambda: pa.table({"a": [1, 2]}),
    "an Arrow table over an array in a module": lambda: pa.table({"a": KEPT}),
    "a polars frame": lambda: pl.DataFrame({"a": [1, 2]}),
    "a polars frame over an array in a module": lambda: pl.DataFrame({"a": KEPT}),
    "a polars series": lambda: pl.Series([1, 2]),
    "a subclass of list": type("Own", (list,), {}),
    "an object": lambda: CACHE,
    "more members than are looked at": lambda: [[n] for n in range(2000)],
    "a bytearray": lambda: bytearray(10),
    "a generator": lambda: (n for n in ()),
}
PAIR = (1, [2])
SIZES = pd.CategoricalDtype(["x", "y"])
MANY = np.arange(5000.0)
BYTES = bytearray(10)
FRAME = frame()


@pytest.mark.parametrize("make", OTHERS.values(), ids=OTHERS)
def test_it_is_not_the_callers_alone(make):
    assert not held(make)


def test_every_variable_and_container_of_the_caller_counts():
    value = np.arange(3)
    assert sole_owner(value, 1)
    outputs = [value]
    assert not sole_owner(value, 1)
    assert sole_owner(value, 2)
    outputs.clear()
    assert sole_owner(value, 1)
    assert not sole_owner(value, 2)


def test_a_frame_counts_as_an_array_does():
    value = frame()
    outputs = {"x": value}
    assert not sole_owner(value, 1)
    assert sole_owner(value, 2) is FRAMES_CAN_BE_OWN
    del outputs
    assert sole_owner(value, 1) is FRAMES_CAN_BE_OWN


@pytest.mark.skipif(not FRAMES_CAN_BE_OWN, reason="frames are nobody's own before pandas 3")
def test_labels_that_frames_share_are_made_the_frames_own():
    made = LABELLED * 2
    assert made.index.name == "row"
    assert sole_owner(made, 1)
    made.index.name, made.columns.name = "other", "column"
    assert (LABELLED.index.name, LABELLED.columns.name) == ("row", None)


@pytest.mark.skipif(not FRAMES_CAN_BE_OWN, reason="frames are nobody's own before pandas 3")
def test_labels_that_somebody_keeps_stay_apart():
    made = pd.DataFrame({"a": [1.0, 2.0]}, index=["p", "q"])
    kept = made.index
    assert sole_owner(made, 1)
    made.index.name = "row"
    assert kept.name is None


def first_column(frame):
    return frame._mgr.blocks[0].values._pa_array  # noqa: PD011 - a block is no frame


@pytest.mark.skipif(not FRAMES_CAN_BE_OWN, reason="frames are nobody's own before pandas 3")
def test_memory_of_arrows_that_may_be_somebody_elses_is_copied_once():
    scratch = np.arange(3.0)
    made = pd.DataFrame({"a": pd.array(pa.array(scratch), dtype=pd.ArrowDtype(pa.float64())), "t": ["x", "y", "z"]})
    assert sole_owner(made, 1)
    scratch[:] = -1
    assert made["a"].tolist() == [0, 1, 2]
    column = first_column(made)
    made = made.assign(b=1)
    assert sole_owner(made, 1)
    assert first_column(made) is column, "what is the frame's own already is not copied again"


def test_nothing_that_can_be_changed_is_ones_own_where_the_interpreter_borrows_references(monkeypatch):
    """From Python 3.14 on it does: https://github.com/python/cpython/issues/130704."""
    monkeypatch.setattr(ownership.sys, "version_info", (3, 14, 0, "final", 0))
    monkeypatch.setattr(ownership, "_counting", ownership._measure())
    assert held(lambda: (1, "two"))
    assert not held(lambda: [1])
    assert not held(lambda: np.arange(3))
    assert not held(frame)
