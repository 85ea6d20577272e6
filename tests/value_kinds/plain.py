"""Values of Python itself and of its standard library."""

from __future__ import annotations

import datetime as dt
import io
import random
import re
import types
import uuid
from array import array
from collections import ChainMap, Counter, OrderedDict, UserDict, defaultdict, deque
from decimal import Decimal
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

from value_kinds.kind import MANY, Kind, add, add_to_first, set_attribute, set_first, set_key


class Point(NamedTuple):
    x: list
    y: int


def looped():
    found = [1]
    found.append(found)
    return found


def twice():
    part = [1]
    return [part, part]


def empty_list():
    return []


def with_default(factory):
    found = defaultdict(factory)
    found["a"].append(1)
    return found


def read_one(value):
    next(value)


def write_some(value):
    value.write(type(value.read(0))() or ("changed" if isinstance(value, io.StringIO) else b"changed"))


def drop(value):
    value.pop()


def advance(value):
    value.random()


KINDS = [
    *(Kind(f"`{type(each).__name__}`", lambda each=each: each) for each in (7, 0.5, 1j, True)),
    Kind("`str`", lambda: "flüge" * MANY),
    Kind("`bytes`", lambda: bytes(8 * MANY)),
    Kind("`bytearray`", lambda: bytearray(8 * MANY), set_first),
    Kind("`array.array`", lambda: array("d", range(MANY)), set_first),
    Kind("`io.BytesIO`", lambda: io.BytesIO(bytes(8 * MANY)), write_some, lambda v: (v.getvalue(), v.tell())),
    Kind("`io.StringIO`", lambda: io.StringIO("a" * 8 * MANY), write_some, lambda v: (v.getvalue(), v.tell())),
    Kind("`list`", lambda: list(range(3 * MANY)), set_first),
    Kind("`dict`", lambda: {str(n): n for n in range(MANY)}, set_key),
    Kind("`set`", lambda: set(range(3 * MANY)), drop),
    Kind("`tuple` of numbers", lambda: tuple(range(3 * MANY))),
    Kind("`tuple` of lists", lambda: ([1], [2]), add_to_first),
    Kind("`frozenset`", lambda: frozenset("abc")),
    Kind("named tuple", lambda: Point([1], 2), add_to_first),
    Kind("lists and dicts in each other", lambda: [[{"a": [1, (2, [3])]}] for _ in range(9)], add_to_first),
    Kind("a list that holds itself", looped, set_first, lambda v: (v[0], v[1] is v)),
    Kind("one list twice in a list", twice, add_to_first, lambda v: (v, v[0] is v[1])),
    Kind("`range`", lambda: range(3)),
    Kind("`slice`", lambda: slice(1, 2)),
    Kind("`Ellipsis`, `NotImplemented`", lambda: (Ellipsis, NotImplemented)),
    Kind("`Decimal`, `Fraction`", lambda: (Decimal("0.10"), Fraction(1, 3))),
    Kind(
        "dates, times, time zones",
        lambda: (dt.datetime(2013, 1, 1, fold=1, tzinfo=ZoneInfo("UTC")), dt.timedelta(1), dt.time(1), dt.UTC),
    ),
    Kind("`UUID`, `Path`, IP addresses", lambda: (uuid.UUID(int=7), Path("a", "b"), ip_address("::1"))),
    Kind("`re.Pattern`", lambda: re.compile("a+", re.IGNORECASE)),
    Kind("`deque`", lambda: deque(range(5), maxlen=5), add),
    Kind("`OrderedDict`", lambda: OrderedDict(b=1, a=2), set_key),
    Kind("`defaultdict`", lambda: with_default(list), set_key, lambda v: (dict(v), v.default_factory)),
    Kind(
        "`defaultdict` with a lambda",
        lambda: with_default(lambda: [1, 2]),
        set_key,
        lambda v: (dict(v), v.default_factory()),
    ),
    Kind("`Counter`", lambda: Counter("abba"), set_key),
    Kind("`ChainMap`", lambda: ChainMap({"a": 1}, {"b": 2}), set_key, lambda v: v.maps),
    Kind("`UserDict`", lambda: UserDict(a=1), set_key),
    Kind("`SimpleNamespace`", lambda: types.SimpleNamespace(a=[1]), set_attribute),
    Kind("`MappingProxyType`", lambda: types.MappingProxyType({"a": [1]}), lambda v: v["a"].append(2)),
    Kind(
        "`ElementTree.Element`",
        lambda: ET.fromstring("<a><b c='1'>t</b></a>"),
        lambda v: v.clear(),
        ET.tostring,
    ),
    Kind(
        "`random.Random`",
        lambda: random.Random(1),
        advance,
        lambda v: v.getstate(),
        remark="each reader draws the same numbers",
    ),
    Kind("iterator over a list", lambda: iter([1, 2, 3]), read_one, remark="each reader starts where it stands"),
]
