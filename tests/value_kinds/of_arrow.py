"""Values of Arrow and polars."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from value_kinds.kind import MANY, Kind


def numbers():
    return np.arange(float(MANY))


def table():
    return pa.table({"a": numbers(), "b": ["text"] * MANY}, metadata={"source": "here"})


def categories():
    return pa.array(["a", "b"] * MANY).dictionary_encode()


def nested():
    return pa.array([[{"a": n}] for n in range(MANY)])


def over_an_array():
    made = numbers()
    return {"array": made, "table": pa.table({"a": made})}


def change_array(value):
    value["array"][0] = 99


def frame():
    return pl.DataFrame({"a": numbers(), "b": ["text"] * MANY})


def add_column(value):
    value.insert_column(0, pl.Series("changed", [1] * len(value)))


def rename(value):
    value.columns = ["changed", *value.columns[1:]]


def chunks(value):
    return value.n_chunks()


ARROW = [
    Kind("`Array`", lambda: pa.array(numbers())),
    Kind("slice of an `Array`", lambda: pa.array(numbers()).slice(100, 10), whole=lambda: pa.array(numbers())),
    Kind("slice of texts", lambda: table()["b"].chunk(0).slice(100, 10), whole=lambda: table()["b"].chunk(0)),
    Kind("slice of categories (`DictionaryArray`)", lambda: categories().slice(100, 10), whole=categories),
    Kind("slice of lists of structs", lambda: nested().slice(100, 10), whole=nested),
    Kind("`ChunkedArray`", lambda: pa.chunked_array([numbers(), numbers()]), view=lambda v: (v, v.num_chunks)),
    Kind("`Table`", table),
    Kind("slice of a `Table`", lambda: table().slice(100, 10), whole=table),
    Kind("`RecordBatch`", lambda: table().to_batches()[0]),
    Kind("all batches of a `Table` in a list", lambda: table().to_batches(max_chunksize=1000), whole=table),
    Kind("columns with NaN and missing values", lambda: pa.table({"a": [float("nan"), None, 1.0]})),
    Kind(
        "`Table` over an array, and the array",
        over_an_array,
        change_array,
        lost={"that they share memory": lambda v: np.shares_memory(v["array"], v["table"]["a"].chunk(0).to_numpy())},
    ),
    Kind("`Scalar`", lambda: pa.scalar([1, 2])),
    Kind("`Buffer`", lambda: pa.py_buffer(bytes(8 * MANY))),
    Kind("`Schema`, `Field`, `DataType`", lambda: table().schema),
    Kind("`compute.Expression`", lambda: pc.field("a") > 1, view=str),
]

POLARS = [
    Kind("`DataFrame`", frame, rename),
    Kind("slice of a `DataFrame`", lambda: frame().slice(100, 10), rename, whole=frame),
    Kind(
        "`DataFrame` in chunks",
        lambda: pl.concat([frame(), frame()], rechunk=False),
        rename,
        lost={"how it is cut into chunks": chunks},
    ),
    Kind(
        "`DataFrame` of lists, structs, categories",
        lambda: pl.DataFrame({"a": [[1], []], "b": [{"k": 1}, None], "c": pl.Series(["x", "y"], dtype=pl.Categorical)}),
        add_column,
    ),
    Kind(
        "`DataFrame` over an array, and the array",
        lambda: {"array": (made := numbers()), "table": pl.DataFrame({"a": made})},
        change_array,
    ),
    Kind("`Series`", lambda: pl.Series("a", numbers()), lambda v: v.extend(v)),
    Kind("`LazyFrame`", lambda: frame().lazy().filter(pl.col("a") > 5)),
    Kind("slice of a `LazyFrame` over a frame", lambda: frame().lazy().slice(100, 10), whole=lambda: frame().lazy()),
    Kind("`Expr`", lambda: pl.col("a") + 1, view=lambda v: v.meta.serialize()),
    Kind(
        "`Schema`, `DataType`", lambda: (frame().schema, pl.List(pl.Int8)), lambda v: v[0].clear(), needs="polars>=1.5"
    ),
]
