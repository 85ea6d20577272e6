"""Values of numpy."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from value_kinds.kind import MANY, Kind, add_to_first, set_attribute, set_first, set_key


class Info(np.ndarray):
    """An array with an attribute, as numpy's manual makes one."""

    def __array_finalize__(self, obj):
        self.info = getattr(obj, "info", None)


class Celsius(np.float64):
    """A number with an attribute."""


def numbers():
    return np.arange(float(MANY))


def locked():
    made = numbers()
    made.flags.writeable = False
    return made


def info():
    made = numbers().view(Info)
    made.info = {"unit": "m"}
    return made


def celsius():
    made = Celsius(21.5)
    made.place = "cellar"
    return made


def masked(**options):
    return np.ma.MaskedArray(numbers(), **options)


def hard():
    return masked(mask=np.arange(MANY) % 2 == 0, fill_value=-1, hard_mask=True)


def fields():
    return np.zeros(MANY, dtype=[("a", "f8"), ("b", "f8"), ("c", "S100")])


def mapped_file():
    with tempfile.TemporaryDirectory() as folder:
        made = np.memmap(Path(folder, "numbers"), dtype="f8", mode="w+", shape=(MANY,))
        made[:] = 1
        return made


def views():
    made = numbers()
    return [made[:10], made[5:15]]


def draw(source):
    source.standard_normal()


def state(source):
    return source.bit_generator.state


def strides(array):
    return array.strides


KINDS = [
    Kind("array of numbers", numbers, set_first),
    Kind("array by columns", lambda: np.asfortranarray(numbers().reshape(4, -1)), set_first, lambda v: (v, v.strides)),
    Kind("part of a larger array", lambda: numbers()[100:110], set_first, whole=numbers),
    Kind("array with gaps, or backwards", lambda: np.arange(2.0 * MANY)[::-2], set_first, lost={"the gaps": strides}),
    Kind(
        "array that repeats one element (`broadcast_to`)",
        lambda: np.broadcast_to(1.0, (MANY,)),
        set_first,
        lost={"that it takes no memory": strides},
    ),
    Kind("array that cannot be written", locked, set_first, lost={"the lock": lambda v: v.flags.writeable}),
    Kind("array of no dimension, or empty", lambda: [np.array(1.5), np.empty((0, 3))], lambda v: v[0].fill(2)),
    Kind("array of the other byte order", lambda: numbers().astype(">f8"), set_first),
    Kind("dates and times (`datetime64`, `timedelta64`)", lambda: np.arange(MANY).view("M8[ns]"), set_first),
    Kind("texts of one length (`U`, `S`)", lambda: np.full(MANY, "text"), set_first),
    Kind("texts (`StringDType`)", lambda: np.full(MANY, "text", dtype=np.dtypes.StringDType()), set_first),
    Kind("array of numbers and texts as objects", lambda: np.array([1, "a", None] * 2 * MANY, dtype=object), set_first),
    Kind("array of lists as objects", lambda: np.array([[1], [2, 3]], dtype=object), add_to_first),
    Kind("array with fields", fields, lambda v: v["a"].fill(1)),
    Kind("some fields of an array", lambda: fields()[["a", "b"]], lambda v: v["a"].fill(1), whole=fields),
    Kind("`recarray`", lambda: fields().view(np.recarray), lambda v: v.a.fill(1)),
    Kind("`memmap`", mapped_file, set_first, np.array, lost={"the file": lambda v: v.filename}),
    Kind("masked array", lambda: masked(mask=np.arange(MANY) % 2 == 0), lambda v: v.fill(1)),
    Kind("masked array without a mask", masked, set_first),
    Kind("masked array with a hard mask", hard, lambda v: v.data.fill(1)),
    Kind("array of a class with attributes", info, set_first),
    Kind("number (`float64`, `datetime64`)", lambda: (np.float64(1.5), np.datetime64("2020-01-01"))),
    Kind("number of a class with attributes", celsius, set_attribute),
    Kind(
        "record of an array (`void`)",
        lambda: np.array([(1, 2.0)], dtype=[("a", "i4"), ("b", "f8")])[0],
        lambda v: v.__setitem__("a", 9),
    ),
    Kind(
        "one array twice in a list",
        lambda: [made := np.arange(9.0), made],
        lambda v: v[0].fill(1),
        lambda v: (v, v[0] is v[1]),
    ),
    Kind(
        "views of one array in a list",
        views,
        lambda v: v[0].fill(1),
        lost={"that they share memory": lambda v: np.shares_memory(*v)},
    ),
    Kind("arrays in a dict", lambda: {"a": numbers(), "b": [numbers()]}, set_key),
    Kind("`dtype`, `ufunc`", lambda: (np.dtype("M8[s]"), np.add)),
    Kind("`Generator`", lambda: np.random.default_rng(1), draw, state, remark="each reader draws the same numbers"),
    Kind(
        "`RandomState`",
        lambda: np.random.RandomState(1),
        draw,
        lambda v: v.get_state(),
        remark="each reader draws the same numbers",
    ),
]
