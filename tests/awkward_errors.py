"""Exceptions and values that do anything when they are asked what they are; imported by workers too."""

from __future__ import annotations

import sys


class ExitsWhenShown(Exception):
    def __str__(self):
        raise SystemExit(3)

    __repr__ = __str__


class ExitsWhenPickled(Exception):
    def __reduce__(self):
        sys.exit(4)


class ExitsWhenRebuilt(Exception):
    def __reduce__(self):
        return sys.exit, (5,)


class OddText(str):
    __slots__ = ()

    def __len__(self):
        raise SystemExit(6)

    def __reduce_ex__(self, protocol):
        raise SystemExit(6)


class TextOfOddClass(Exception):
    def __str__(self):
        return OddText("odd text")


class ExitsWhenLookedAt(Exception):
    def look(self):
        raise SystemExit(7)

    __cause__ = __context__ = __suppress_context__ = __traceback__ = __notes__ = __class__ = property(look)


class ExitsAtEveryAttribute(Exception):
    def __getattribute__(self, name):
        raise SystemExit(8)


class ExitsInMetaclass(type):
    def __getattribute__(cls, name):
        if name == "__subclasses__":  # libraries that look at all errors there are, as tblib does, ask for it
            return super().__getattribute__(name)
        raise SystemExit(9)


class OfExitingMetaclass(Exception, metaclass=ExitsInMetaclass):
    pass


class HidesItsMembers(ExceptionGroup):
    @property
    def exceptions(self):
        raise SystemExit(10)


class ExitsWhenMeasured:
    def __len__(self):
        raise SystemExit(11)


AWKWARD = {
    "ExitsWhenShown": lambda: ExitsWhenShown("text"),
    "ExitsWhenPickled": lambda: ExitsWhenPickled("text"),
    "ExitsWhenRebuilt": lambda: ExitsWhenRebuilt("text"),
    "TextOfOddClass": lambda: TextOfOddClass("text"),
    "ExitsWhenLookedAt": lambda: ExitsWhenLookedAt("text"),
    "ExitsAtEveryAttribute": lambda: ExitsAtEveryAttribute("text"),
    "OfExitingMetaclass": lambda: OfExitingMetaclass("text"),
    "HidesItsMembers": lambda: HidesItsMembers("text", [ValueError("inner")]),
}


def fail(name, _):
    error = AWKWARD[name]()
    raise error


def fail_after(name, _):
    first = AWKWARD[name]()
    try:
        raise first
    except BaseException as error:
        raise ValueError("outer") from error


def same(value):
    return value
