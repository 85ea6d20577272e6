"""Values, and nodes that change, share and hand them on, of which pipelines are drawn at random."""

from __future__ import annotations

from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from attrs import frozen

import kernel

MANY = 10_000  # of eight bytes: more than what travels inside of a message


@dataclass
class Thing:
    """An object with a list, by two names."""

    members: list = field(default_factory=lambda: [1, 2])

    def __post_init__(self):
        self.again = self.members


INDEX = pd.Index(["p", "q", "r"], name="row")
#: What is made anew by each call, by name.
LEAVES = {
    "numbers": lambda: np.arange(6.0),
    "many numbers": lambda: np.arange(float(MANY)),
    "numbers by columns": lambda: np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "numbers with gaps": lambda: np.arange(12.0)[::2],
    "numbers that cannot be written": lambda: np.broadcast_to(np.arange(3.0), (2, 3)),
    "dates": lambda: np.arange(3).view("M8[D]"),
    "lists as objects": lambda: np.array([[1], [2, 3], None], dtype=object),
    "records": lambda: np.zeros(3, dtype=[("a", "i4"), ("b", "M8[s]")]),
    "masked numbers": lambda: np.ma.MaskedArray([1.0, 2.0, 3.0], mask=[0, 1, 0]),
    "frame": lambda: pd.DataFrame({"a": [1.5, 2.5, 3.5], "b": [1, 2, 3]}),
    "many rows": lambda: pd.DataFrame({"a": np.arange(float(MANY)), "b": np.arange(MANY)}),
    "frame of texts": lambda: pd.DataFrame({"a": ["x", None, "z"], "c": pd.Categorical(["u", "v", "u"])}),
    "frame of lists": lambda: pd.DataFrame({"a": [[1], [2, 3], []], "b": [1, 2, 3]}),
    "frame with an index of others": lambda: pd.DataFrame({"a": [1.0, 2.0, 3.0]}, index=INDEX),
    "frame of nullable numbers": lambda: pd.DataFrame({"a": pd.array([1, None, 3], dtype="Int64")}),
    "series": lambda: pd.Series([1.0, 2.0, 3.0], index=INDEX, name="s"),
    "table": lambda: pa.table({"a": [1.5, None, 3.5], "b": ["x", "y", "z"]}),
    "many numbers of Arrow's": lambda: pa.table({"a": np.arange(float(MANY))}),
    "categories of Arrow's": lambda: pa.array(["x", "y", "x"]).dictionary_encode(),
    "polars": lambda: pl.DataFrame({"a": [1, 2, 3], "b": [["x"], [], None]}),
    "polars over many numbers": lambda: pl.DataFrame({"a": np.arange(float(MANY))}),
    "polars series": lambda: pl.Series("a", [1, 2, 3]),
    "list": lambda: [1, 2, 3],
    "dict": lambda: {"a": [1], "b": (2, [3])},
    "set": lambda: {1, 2, 3},
    "bytearray": lambda: bytearray(b"abc"),
    "text": lambda: "text",
    "object": Thing,
}
#: What the module holds; its nodes hand it out, and nobody may change it.
HELD = {name: make() for name, make in LEAVES.items()}
#: Which of them have left, and how they were then.
HANDED_OUT = {}


@frozen
class Does:
    """What a node does: with its inputs, and what it returns.

    `takes`: "made", "held" or "input"; `leaf`: of which kind, for the first two. `shape`: what becomes of that.
    """

    takes: str
    leaf: str
    shape: str
    changes: bool


def act(does, *inputs):
    kernel.note("seen", [digest(each) for each in inputs])
    if does.changes:
        for each in inputs:
            change(each)
    if does.takes == "made":
        found = LEAVES[does.leaf]()
    elif does.takes == "held":
        found = HELD[does.leaf]
        HANDED_OUT.setdefault(does.leaf, digest(found))
    else:
        found = inputs[0]
    kernel.note("spoilt", [name for name, as_it_was in sorted(HANDED_OUT.items()) if digest(HELD[name]) != as_it_was])
    return SHAPES[does.shape](found, inputs)


def part(value):
    if isinstance(value, (pd.DataFrame, pd.Series)):
        return value.iloc[1:]
    if isinstance(value, (pa.Table, pa.Array, pl.DataFrame, pl.Series)):
        return value.slice(1)
    return value[1:] if isinstance(value, (np.ndarray, list, bytearray)) and len(value) > 1 else value


#: What a node returns of what it has, and of its inputs.
SHAPES = {
    "as it is": lambda found, inputs: found,
    "a part": lambda found, inputs: part(found),
    "twice": lambda found, inputs: [found, found],
    "with a part": lambda found, inputs: [found, part(found)],
    "in a dict": lambda found, inputs: {"one": found, "other": (1, [found])},
    "with all inputs": lambda found, inputs: [found, *inputs],
    "something new": lambda found, inputs: [digest(found)],
}


def change(value):
    """Change a value in place, and what is in it, as far as it can be."""
    for kind, changed in CHANGES.items():
        if isinstance(value, kind):
            changed(value)


def _change_list(value):
    for each in value:
        change(each)
    value.append("changed")


def _change_tuple(value):
    for each in value:
        change(each)


def _change_dict(value):
    for each in value.values():
        change(each)
    value["changed"] = len(value)


def _rename(frame):
    frame.columns = [f"{name}!" for name in frame.columns]


def _change_array(array):
    if not array.flags.writeable:
        raise AssertionError("what a node gets is its own, so it can be written")
    if array.dtype == object:
        for each in array.flat:
            change(each)
    elif array.size:
        array.flat[0] = array.flat[array.size - 1] if array.dtype.kind in "mMV" else array.size


def _change_frame(frame):
    for column in [frame] if isinstance(frame, pd.Series) else [frame[name] for name in frame.columns]:
        if column.dtype == object:
            for each in column:
                change(each)
    if isinstance(frame, pd.Series):
        frame.iloc[0] = frame.iloc[len(frame) - 1]
    else:
        frame.isetitem(0, frame.iloc[::-1, 0].to_numpy(copy=True))
        frame["changed"] = len(frame.columns)
    frame.index.name = f"{frame.index.name}!"


CHANGES = {
    list: _change_list,
    tuple: _change_tuple,
    dict: _change_dict,
    set: lambda value: value.add(len(value) + 10),
    Thing: lambda value: value.members.append("changed"),
    bytearray: lambda value: value.extend(b"!"),
    np.ndarray: _change_array,
    (pd.DataFrame, pd.Series): _change_frame,
    pl.DataFrame: _rename,
    pl.Series: lambda value: value.extend(value),
}


def digest(value):
    """Return a text that tells whether two values are the same to a reader."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {digest(each)}" for key, each in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"{type(value).__name__}({', '.join(map(digest, value))})"
    return f"{type(value).__name__}:{crc32(repr(_content(value)).encode())}"


def _content(value):
    """Return what can be shown of all that is in a value."""
    for kind, content in CONTENTS.items():
        if isinstance(value, kind):
            return content(value)
    return value


def _of_frame(frame):
    columns = [digest(frame[name]) for name in frame.columns]
    return columns, frame.columns.to_list(), frame.columns.name, digest(frame.index.to_numpy()), frame.attrs


def _of_series(series):
    return series.dtype, digest(series.to_numpy()), series.name, digest(series.index.to_numpy()), series.index.name


def _members(array):
    return array.tolist() if array.size < MANY else crc32(array.tobytes())


CONTENTS = {
    set: sorted,
    Thing: lambda value: (value.members, value.again, value.members is value.again),
    np.ma.MaskedArray: lambda value: (np.ma.getmaskarray(value).tolist(), digest(value.data)),
    np.ndarray: lambda value: (value.dtype, value.shape, _members(value)),
    pd.DataFrame: _of_frame,
    pd.Series: _of_series,
    pa.Table: lambda value: (str(value.schema), digest(value.to_pandas())),
    pa.Array: lambda value: (str(value.type), value.to_pylist()),
    pl.DataFrame: lambda value: [digest(column) for column in value.get_columns()],
    pl.Series: lambda value: (
        value.name,
        value.dtype,
        value.to_list() if len(value) < MANY else _members(value.to_numpy()),
    ),
}
