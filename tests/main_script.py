"""A script that keeps things of its own in a pickle dataset, and looks at what it kept: run by tests, as a script.

    python main_script.py save|load FILE EXECUTOR OPTIONS

OPTIONS are JSON. What it found out is printed as JSON.
"""

from __future__ import annotations

import collections
import concurrent.futures
import dataclasses
import decimal
import enum
import functools
import inspect
import json
import multiprocessing
import pickle
import sys
import typing

import attrs

from kernel import Runner, node, pipeline
from kernel.errors import NodeError
from kernel_files.pickle_ import PickleDataset

RAN = "the script ran as the main module" if __name__ == "__main__" else ""


class Status(enum.Enum):
    OK = 1
    BAD = "bad"


class Level(enum.IntFlag):
    LOW = 1
    HIGH = 2


@dataclasses.dataclass(frozen=True)
class Model:
    weight: float
    status: Status = Status.OK
    exact: decimal.Decimal = decimal.Decimal("0.5")


@attrs.define
class Slotted:
    x: int
    inner: Model


class Pair(typing.NamedTuple):
    left: int
    right: Status


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024 - one of either kind


class Registering(type):
    kinds: typing.ClassVar = []

    def __new__(cls, name, bases, content):
        made = super().__new__(cls, name, bases, content)
        cls.kinds.append(name)
        return made


class Registered(metaclass=Registering):
    def double(self):
        return FACTOR * 2


class Outer:
    class Inner:
        def __eq__(self, other):
            return type(self) is type(other)

        __hash__ = None


class Sentinel:
    def __reduce__(self):
        return "MISSING"


MISSING = Sentinel()
UNSET = object()
FACTOR = 21
Number = typing.NewType("Number", int)


class OwnError(Exception):
    def __init__(self, code, model):
        super().__init__(code, model)
        self.code, self.model = code, model


def helper(value, unset=UNSET):
    return value * FACTOR if unset is UNSET else value


@functools.lru_cache(maxsize=3)
def fibonacci(n):
    return n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


def things():
    return {
        "member": Status.OK,
        "kind": Status,
        "flag": Level.LOW | Level.HIGH,
        "model": Model(0.5),
        "slotted": Slotted(1, Model(2.0)),
        "pair": Pair(1, Status.BAD),
        "point": Point(1, 2),
        "registered": Registered,
        "inner": Outer.Inner(),
        "function": helper,
        "cached": fibonacci,
        "missing": MISSING,
        "new type": Number,
        "error": OwnError(3, Model(0.5)),
    }


def make(x):
    return {**things(), "local": lambda y: helper(y) + x}


def judged(kept):
    """Say of each thing whether it is what the script has under the same name."""
    right = things()
    local = kept.pop("local")
    error = kept.pop("error")
    same = {"member", "kind", "registered", "function", "cached", "missing", "new type"}
    found = {
        name: kept[name] is right[name] if name in same else kept[name] == right[name] for name in right if name in kept
    }
    found["types"] = all(type(kept[name]) is type(right[name]) for name in kept)
    found["error"] = isinstance(error, OwnError) and (error.code, error.model) == (3, Model(0.5))
    found["methods"] = kept["registered"]().double() == 42
    found["local"] = local(2) == 43
    return found


def judge(kept):
    return judged(kept)


def look(x):
    """Say what a node finds of the script where it runs."""
    import __main__

    return {
        "pickled": pickle.loads(pickle.dumps(Model(0.5))) == Model(0.5),
        "hints": typing.get_type_hints(Model) == {"weight": float, "status": Status, "exact": decimal.Decimal},
        "hints of a function": typing.get_type_hints(hinted) == {"model": Model, "pairs": list[Pair], "return": Status},
        "source": inspect.getsource(Model).startswith("@dataclasses") and "FACTOR" in inspect.getsource(helper),
        "main": (__main__.Outer is Outer, __main__.__file__ == __file__, __main__.__doc__ == __doc__),
        "unused": __main__.Unused().text == "of no node",
    }


def hinted(model: Model, pairs: list[Pair]) -> Status:
    return model.status


class Unused:
    text = "of no node"


def in_pools(method):
    """Run the script's functions in pools that the node makes."""
    context = multiprocessing.get_context(method)
    with context.Pool(2) as pool:
        first = pool.map(helper, [1, 2]), pool.apply(weigh, (Model(0.25),))
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=context) as pool:
        second = pool.submit(weigh, Model(0.75)).result()
    return [first == ([21, 42], Model(0.5)), second == Model(1.5)]


def weigh(model):
    return Model(model.weight * 2, exact=model.exact)


def fail(x):
    raise OwnError(x, Model(0.5))


def main(step, file, executor, options):
    if step == "save":
        flow = pipeline([node(make, "x", "kept"), node(look, "x", "seen")])
        with Runner(executor, **options) as runner, runner.run(flow, {"x": 1, "kept": PickleDataset(file)}) as result:
            return result["seen"]
    steps = [node(judge, "kept", "found"), node(make, "x", "made"), node(judge, "made", "after"), node(fail, "x", "y")]
    with Runner(executor, **options) as runner:
        with runner.run(pipeline(steps[:3]), {"x": 1, "kept": PickleDataset(file)}) as result:
            found = {**result["found"], "in memory": result["after"]}
            with runner.run(pipeline([node(judge, "given", "given again")]), {"given": make(1)}) as second:
                found["given"] = second["given again"]
        with runner.run(pipeline([node(make, "x", "made")]), {"x": 1}) as result:
            found["home"] = judged(result["made"])
        try:
            runner.run(pipeline(steps[3:]), {"x": 3})
        except NodeError as error:
            found["cause"] = type(error.cause) is OwnError and error.cause.model == Model(0.5)
        found["globals"] = helper.__globals__ is globals() and Registered.double.__globals__ is globals()
        return found


def pools(executor, options):
    with Runner(executor, **options) as runner:
        steps = [node(in_pools, "method", "found")]
        return {method: runner.run(pipeline(steps), {"method": method})["found"] for method in ("fork", "spawn")}


if __name__ == "__main__":
    step, *arguments = sys.argv[1:]
    given = json.loads(arguments[-1])
    print(json.dumps(pools(arguments[0], given) if step == "pools" else main(step, *arguments[:-1], given)))
