"""Objects, classes and functions of a user, and values of libraries beside those that the kernel knows."""

from __future__ import annotations

import enum
import functools
import json
import warnings
from dataclasses import dataclass

import attrs
from PIL import Image

from value_kinds.kind import Kind, set_attribute, set_key


class Plain:
    """Has attributes, and does not say what is equal."""

    def __init__(self):
        self.one = self.other = [1]
        self.own = self


class Slots:
    __slots__ = ("changed",)

    def __init__(self):
        self.changed = 1


@dataclass
class Data:
    members: list


@dataclass(frozen=True)
class FrozenData:
    members: list


@attrs.define
class Attrs:
    members: list


@attrs.frozen
class FrozenAttrs:
    members: list


class Colour(enum.Enum):
    RED = ["r"]


class Access(enum.Flag):
    READ = 1
    WRITE = 2


class Own(dict):
    """A dict with an attribute."""


class DataFrame:
    """Is called as frames of others are, and is none."""

    def __init__(self):
        self.members = [1]


class Reduced:
    """Says itself how it is pickled, and leaves something out."""

    def __init__(self, kept, left="left out"):
        self.kept, self.left = kept, left

    def __reduce__(self):
        return Reduced, (self.kept, None)


def own():
    made = Own(a=1)
    made.note = ["here"]
    return made


def failed():
    try:
        try:
            json.loads("{")
        except ValueError as error:
            raise KeyError("no", ["details"]) from error
    except KeyError as error:
        error.add_note("seen")
        return error


def local_object():
    class Local:
        def __init__(self):
            self.members = [1]

    return Local()


def local_class():
    return type(local_object())


def counting():
    counted = [1]

    def count():
        counted.append(1)
        return list(counted)

    return count


def add_member(value):
    value.members.append(9)


def figure():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # an old one uses what a new library of others warns of
        from matplotlib.figure import Figure

        made = Figure()
    made.add_subplot().plot([1, 2, 3])
    return made


def lines(made):
    return [line.get_xydata() for axes in made.axes for line in axes.lines]


def attributes(value):
    return value.members


KINDS = [
    Kind("object with attributes", Plain, lambda v: v.one.append(9), lambda v: (v.one, v.one is v.other, v.own is v)),
    Kind("object with `__slots__`", Slots, set_attribute),
    Kind("`dataclass`", lambda: Data([1]), add_member),
    Kind("frozen `dataclass`, changed inside", lambda: FrozenData([1]), add_member),
    Kind("class of attrs", lambda: Attrs([1]), add_member),
    Kind("frozen class of attrs, changed inside", lambda: FrozenAttrs([1]), add_member),
    Kind("`Enum`, `Flag`", lambda: (Colour.RED, Access.READ | Access.WRITE)),
    Kind("subclass of `dict` with an attribute", own, set_key, lambda v: (dict(v), v.note)),
    Kind("object of a class called `DataFrame`", DataFrame, add_member),
    Kind(
        "object that says how it is pickled",
        lambda: Reduced([1]),
        lambda v: v.kept.append(9),
        lambda v: v.kept,
        lost={"what its pickle leaves out": lambda v: v.left},
    ),
    Kind("object of a class defined in a function", local_object, add_member, attributes),
    Kind(
        "exception",
        failed,
        lambda v: v.args[1].append(9),
        lambda v: (v.args, v.__notes__),
        lost={"cause": lambda v: type(v.__cause__), "traceback": lambda v: type(v.__traceback__)},
    ),
    Kind(
        "function, class, method, module",
        lambda: (json.dumps, json.JSONDecoder, json.JSONDecoder().decode.__func__, json),
    ),
    Kind("`lambda`, function defined in a function", counting, lambda v: v(), lambda v: v.__closure__[0].cell_contents),
    Kind(
        "class defined in a function",
        local_class,
        view=lambda v: (v.__name__, v().members),
        remark="where it was made, the class itself",
    ),
    Kind("`functools.partial`", lambda: functools.partial(sorted, [2, 1]), lambda v: v.args[0].append(9)),
    Kind("matplotlib `Figure`", figure, lambda v: v.axes[0].plot([9]), lines),
    Kind("Pillow `Image`", lambda: Image.new("RGB", (400, 400)), lambda v: v.putpixel((0, 0), (9, 9, 9))),
]
