"""Values of many types, made anew each time; those of libraries that are not installed are left out."""

from __future__ import annotations

import datetime as dt
import decimal
from array import array
from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from kernel.values import is_equal as same

__all__ = ["CHANGEABLE", "VALUES", "same"]

_MB = 1 << 20

#: So many rows a table has of which a slice shows three.
_ROWS = 1000


def _numpy() -> Any:
    return import_module("numpy")


def _pandas() -> Any:
    return import_module("pandas")


def _frame() -> Any:
    when = _pandas().to_datetime(["2013-01-01", "2013-01-02"])
    return _pandas().DataFrame({"number": [1.5, 2.5], "text": ["a", "ü"], "when": when})


@cache
def _labels() -> Any:
    return _pandas().Index(["a", "b"], name="row")


def _slice() -> Any:
    table = import_module("pyarrow").table({"number": range(_ROWS), "text": ["a", None] * (_ROWS // 2)})
    return table.slice(7, 3)


_OF_NUMPY: Mapping[str, Callable[[], Any]] = {
    "array": lambda: _numpy().arange(6.0).reshape(2, 3),
    "array of 8 MB": lambda: _numpy().arange(float(_MB)),
    "array in column order": lambda: _numpy().asfortranarray(_numpy().arange(2000.0).reshape(20, 100)),
    "array of objects": lambda: _numpy().array([1, "two", None], dtype=object),
    "array of lists": lambda: _numpy().array([[1], [2, 3], None], dtype=object),
    "empty array": lambda: _numpy().empty((0, 3)),
    "array with fields": lambda: _numpy().zeros(3, dtype=[("when", "M8[s]"), ("delay", "f8")]),
}

_OF_PANDAS: Mapping[str, Callable[[], Any]] = {
    "frame": _frame,
    "long frame": lambda: _pandas().DataFrame({"number": range(100_000), "half": 0.5}),
    "frame of lists": lambda: _pandas().DataFrame({"lists": [[1], [2, 3]]}),
    "frame with labels of others": lambda: _pandas().DataFrame({"number": [1.5, 2.5]}, index=_labels()),
    "empty frame": lambda: _frame().head(0),
    "series": lambda: _pandas().Series([1, 2], name="numbers"),
}

#: What a catalog has to carry, by name: each call makes the value anew.
VALUES: Mapping[str, Callable[[], Any]] = {
    "None": lambda: None,
    "number": lambda: 7,
    "huge number": lambda: 10**400,
    "fraction": lambda: 0.1,
    "truth": lambda: True,
    "text": lambda: "flüge 数 \U0001f6eb",
    "surrogate": lambda: "\udc80",
    "bytes": lambda: b"\x00\xff",
    "bytes of 8 MB": lambda: bytes(8 * _MB),
    "empty list": list,
    "list": lambda: [3, 1, 2],
    "nested": lambda: {"a": [1, {"b": (2, None)}], 3: {4}},
    "set": lambda: {1, 2, 3},
    "bytearray": lambda: bytearray(b"abc"),
    "machine numbers": lambda: array("d", [1.0, 2.0]),
    "date": lambda: dt.datetime(2013, 1, 1, tzinfo=dt.UTC),
    "ellipsis": lambda: ...,
    "decimal": lambda: decimal.Decimal("0.10"),
    "error": lambda: ValueError("kept as a value"),
    **(_OF_NUMPY if find_spec("numpy") else {}),
    **(_OF_PANDAS if find_spec("pandas") else {}),
    **({"slice of Arrow's": _slice} if find_spec("pyarrow") else {}),
}

#: What `functions.change` can change in place.
CHANGEABLE: Mapping[str, Callable[[], Any]] = {
    "list": VALUES["list"],
    "dict": lambda: {"a": 1},
    "bytearray": VALUES["bytearray"],
    "long bytearray": lambda: bytearray(8 * _MB),
    **(
        {
            name: VALUES[name]
            for name in ("array", "array of 8 MB", "array of lists", "frame of lists")
            if name in VALUES
        }
    ),
}
