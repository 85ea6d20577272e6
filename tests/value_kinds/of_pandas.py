"""Values of pandas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from value_kinds.kind import MANY, Kind, set_first, set_key


class Measured(pd.DataFrame):
    """A frame with an attribute, as the manual of pandas makes one."""

    _metadata = ["unit"]

    @property
    def _constructor(self):
        return Measured


def numbers():
    return pd.DataFrame({"a": np.arange(float(MANY)), "b": np.arange(MANY), "c": np.arange(MANY) % 2 == 0})


def dates():
    return pd.DataFrame({"a": pd.date_range("2020", periods=MANY, freq="min")})


def noted():
    made = numbers()
    made.attrs["source"] = ["here"]
    return made


def measured():
    made = Measured(numbers())
    made.unit = "m"
    return made


LABELLED = pd.DataFrame({"a": [1.0, 2.0]}, index=pd.Index(["p", "q"], name="row"))


def shared_index():
    return LABELLED * 2


def name_index(frame):
    frame.index.name = "changed"


def several_levels():
    index = pd.MultiIndex.from_product([["a", "b"], range(2)], names=["one", "two"])
    return pd.DataFrame({("x", "y"): range(4), ("x", "z"): range(4)}, index=index)


def strings(dtype):
    return lambda: pd.DataFrame({"a": [f"text {n}" for n in range(2 * MANY)]}, dtype=dtype)


def set_cell(value):
    value.iloc[0, 0] = value.iloc[1, 0]


def spoil(value):
    value["changed"] = 1


def add_inside(value):
    value.iloc[0, 0].append(99)


def note(value):
    value.attrs["source"].append("there")


KINDS = [
    Kind("`DataFrame` of numbers", numbers, set_cell),
    Kind("`DataFrame` of dates", dates, set_cell),
    Kind(
        "`DataFrame` of dates with a time zone",
        lambda: pd.DataFrame({"a": dates()["a"].dt.tz_localize("UTC")}),
        set_cell,
    ),
    Kind("`DataFrame` of texts (Arrow's)", strings("string[pyarrow]"), set_cell),
    Kind("`DataFrame` of texts (objects)", strings(object), set_cell),
    Kind("`DataFrame` of categories", lambda: pd.DataFrame({"a": pd.Categorical(["a", "b"] * 5 * MANY)}), set_cell),
    Kind(
        "`DataFrame` of nullable numbers",
        lambda: pd.DataFrame({"a": pd.array([1, None] * MANY, dtype="Int64")}),
        set_cell,
    ),
    Kind(
        "`DataFrame` of Arrow's types",
        lambda: pd.DataFrame({"a": pd.Series(range(MANY), dtype=pd.ArrowDtype(pa.int64()))}),
        set_cell,
    ),
    Kind(
        "`DataFrame` of periods, intervals, sparse numbers",
        lambda: pd.DataFrame(
            {
                "a": pd.period_range("2020", periods=3),
                "b": pd.interval_range(0, 3),
                "c": pd.arrays.SparseArray([0, 0, 1]),
            }
        ),
        spoil,
    ),
    Kind("`DataFrame` of lists", lambda: pd.DataFrame({"a": [[1], [2, 3]]}), add_inside),
    Kind("`DataFrame` with an index that others have", shared_index, name_index),
    Kind("`DataFrame` with several levels of labels", several_levels, set_cell),
    Kind("`DataFrame` with notes (`attrs`)", noted, note),
    Kind(
        "`DataFrame` with flags",
        lambda: numbers().set_flags(allows_duplicate_labels=False),
        set_cell,
        lambda v: (v, v.flags.allows_duplicate_labels),
    ),
    Kind(
        "`DataFrame` of a class with `_metadata`", measured, lambda v: setattr(v, "unit", "km"), lambda v: (v, v.unit)
    ),
    Kind("rows of a larger `DataFrame`", lambda: numbers().iloc[10:20], set_cell, whole=numbers),
    Kind("every second row of a `DataFrame`", lambda: numbers().iloc[::2], set_cell),
    Kind("empty `DataFrame`", lambda: numbers().head(0), spoil),
    Kind("`Series` of numbers", lambda: numbers()["a"], set_first),
    Kind("every second row of a `Series`", lambda: pd.Series(np.arange(2.0 * MANY)).iloc[::2], set_first),
    Kind("`Series` of lists", lambda: pd.Series([[1], [2]]), lambda v: v.iloc[0].append(9)),
    Kind(
        "`Index`",
        lambda: pd.Index(np.arange(MANY), name="a"),
        lambda v: setattr(v, "name", "changed"),
    ),
    Kind(
        "`RangeIndex`, `MultiIndex`",
        lambda: (pd.RangeIndex(3), several_levels().index),
        lambda v: setattr(v[0], "name", "changed"),
    ),
    Kind(
        "`DatetimeIndex` with a frequency",
        lambda: pd.date_range("2020", periods=MANY, freq="min"),
        lambda v: setattr(v, "name", "changed"),
        lambda v: (v, v.freq),
    ),
    Kind(
        "`Timestamp`, `Timedelta`, `Period`, `Interval`, `NA`",
        lambda: (pd.Timestamp("2020", tz="UTC"), pd.Timedelta(1), pd.Period("2020"), pd.Interval(0, 1), pd.NA, pd.NaT),
    ),
    Kind(
        "`Categorical` and other arrays",
        lambda: (pd.Categorical(["a", "b"]), pd.array([1, None], dtype="Int64")),
        lambda v: v[1].__setitem__(0, 9),
        lambda v: [pd.Series(each) for each in v],
    ),
    Kind("grouped `DataFrame`", lambda: numbers().groupby("c"), lambda v: set_cell(v.obj), lambda v: (v.obj, v.sum())),
    Kind("frames in a dict", lambda: {"a": numbers(), "b": [numbers()]}, set_key),
]
