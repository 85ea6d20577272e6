"""Values of many types, made anew each time; those of libraries that are not installed are left out."""

from __future__ import annotations

import datetime as dt
import decimal
from array import array
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

__all__ = ["CHANGEABLE", "VALUES", "same"]

_MB = 1 << 20


def _numpy() -> Any:
    return import_module("numpy")


def _pandas() -> Any:
    return import_module("pandas")


def _frame() -> Any:
    when = _pandas().to_datetime(["2013-01-01", "2013-01-02"])
    return _pandas().DataFrame({"number": [1.5, 2.5], "text": ["a", "ü"], "when": when})


_OF_NUMPY: Mapping[str, Callable[[], Any]] = {
    "array": lambda: _numpy().arange(6.0).reshape(2, 3),
    "array of 8 MB": lambda: _numpy().arange(float(_MB)),
    "array in column order": lambda: _numpy().asfortranarray(_numpy().arange(2000.0).reshape(20, 100)),
    "array of objects": lambda: _numpy().array([1, "two", None], dtype=object),
    "empty array": lambda: _numpy().empty((0, 3)),
    "array with fields": lambda: _numpy().zeros(3, dtype=[("when", "M8[s]"), ("delay", "f8")]),
}

_OF_PANDAS: Mapping[str, Callable[[], Any]] = {
    "frame": _frame,
    "long frame": lambda: _pandas().DataFrame({"number": range(100_000), "half": 0.5}),
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
    "decimal": lambda: decimal.Decimal("0.10"),
    "error": lambda: ValueError("kept as a value"),
    **(_OF_NUMPY if find_spec("numpy") else {}),
    **(_OF_PANDAS if find_spec("pandas") else {}),
}

#: What `functions.change` can change in place.
CHANGEABLE: Mapping[str, Callable[[], Any]] = {
    "list": VALUES["list"],
    "dict": lambda: {"a": 1},
    "bytearray": VALUES["bytearray"],
    "long bytearray": lambda: bytearray(8 * _MB),
    **({name: VALUES[name] for name in ("array", "array of 8 MB") if name in VALUES}),
}


def same(left: Any, right: Any) -> bool:  # noqa: PLR0911 - one return for each way to be equal
    """Say whether two values are equal and of one type, whatever their types mean by `==`."""
    if type(left) is not type(right):
        return False
    if isinstance(left, BaseException):
        return same(left.args, right.args)
    kind: type[Any] = type(left)  # pyright: ignore[reportUnknownVariableType] - whatever it is
    if issubclass(kind, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in left)
    if issubclass(kind, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    if kind.__module__.partition(".")[0] == "pandas":
        return bool(left.equals(right))
    if kind.__module__ == "numpy" and hasattr(left, "dtype"):
        return left.dtype == right.dtype and left.shape == right.shape and bool((left == right).all())
    return bool(left == right)
