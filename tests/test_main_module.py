"""What a script defines is the same everywhere: in its workers, in what they keep, and in the next run."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kernel import node, pipeline, run

SCRIPT = Path(__file__).with_name("main_script.py")
METHODS = ["forkserver", "fork", "spawn"]
#: Each saves what another one loads.
EXECUTORS = [
    ("sequential", {}),
    ("process_pool", {"start_method": "forkserver"}),
    ("threads", {}),
    ("process_pool", {"start_method": "spawn"}),
    ("futures", {}),
    ("process_pool", {"start_method": "fork"}),
    ("futures", {"executor_options": {"factory": "loky:ProcessPoolExecutor"}}),
]

pytestmark = pytest.mark.timeout(180)


def ran(*command, given=None, cwd=None):
    """Run Python; return what it printed, without a word on standard error."""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    done = subprocess.run(
        [sys.executable, *command],
        input=given,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=cwd,
        env=environ,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def asked(*arguments, options):
    printed, said = ran(str(SCRIPT), *map(str, arguments), json.dumps(options))
    assert said == ""
    return json.loads(printed)


def wrong(found, path=""):
    """List what is not true in nested answers."""
    if isinstance(found, dict | list):
        items = found.items() if isinstance(found, dict) else enumerate(found)
        return [each for name, inner in items for each in wrong(inner, f"{path}/{name}")]
    return [] if found is True else [path]


def script(tmp_path, text):
    file = tmp_path / "script.py"
    file.write_text(textwrap.dedent(text))
    return file


# -- one script, twice ------------------------------------------------------------------------------------------------


def named(of):
    return "-".join([of[0], *(str(value).strip("{}").replace("'", "") for value in of[1].values())])


@pytest.mark.parametrize("at", range(len(EXECUTORS)), ids=[named(each) for each in EXECUTORS])
def test_what_a_run_of_a_script_kept_is_the_same_in_the_next_run_and_in_every_worker(tmp_path, at):
    (saver, its), (loader, others) = EXECUTORS[at], EXECUTORS[(at + 1) % len(EXECUTORS)]
    assert wrong(asked("save", tmp_path / "kept", saver, options=its)) == []
    assert wrong(asked("load", tmp_path / "kept", loader, options=others)) == []


@pytest.mark.parametrize("executor", [EXECUTORS[1], EXECUTORS[3], EXECUTORS[4]], ids=named)
def test_pools_that_a_node_makes_find_the_functions_and_classes_of_the_script(executor):
    assert wrong(asked("pools", executor[0], options=executor[1])) == []


NO_GUARD = """
import multiprocessing
from pathlib import Path

from kernel import node, pipeline, run

with Path("ran").open("a") as file:
    file.write("once ")


class Model:
    def __init__(self, weight):
        self.weight = weight


def twice(model):
    return Model(model.weight * 2)


def in_a_pool(x):
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        made = pool.map(twice, [Model(x)])
    return isinstance(made[0], Model) and made[0].weight == 2 * x


print(run(pipeline([node(in_a_pool, "x", "y")]), {"x": 3}, executor="process_pool", workers=1)["y"])
"""


@pytest.mark.parametrize("way", ["file", "text", "input"])
def test_a_script_without_a_guard_runs_once_whatever_its_nodes_start(tmp_path, way):
    command = {"file": [str(script(tmp_path, NO_GUARD))], "text": ["-c", NO_GUARD], "input": ["-"]}[way]
    printed, said = ran(*command, given=NO_GUARD, cwd=tmp_path)
    assert (printed, said) == ("True\n", "")
    assert (tmp_path / "ran").read_text() == "once "


# -- definitions that change ------------------------------------------------------------------------------------------

REDEFINED = """
import sys

from kernel import Runner, node, pipeline

def define(version):
    exec(CELL.format(version=version), globals())

CELL = '''
class Model:
    version = {version}

    def told(self):
        return self.version, LIMIT

LIMIT = {version}

def make(x):
    return Model()

def look(model):
    return isinstance(model, Model), model.told(), helper()

def helper():
    return {version}
'''
def steps():
    made = [node(make, "x", "made"), node(make, "x", "one")]
    return pipeline([*made, node(look, "one", "new"), node(look, "given", "old")])

with Runner("process_pool", workers=1, start_method=sys.argv[1]) as runner:
    define(1)
    old = Model()
    first = runner.run(steps(), {"x": 1, "given": old})
    print(first["new"], first["old"], type(first["made"]) is Model)
    define(2)
    second = runner.run(steps(), {"x": 1, "given": old})
    print(second["new"], second["old"], type(second["made"]) is Model)
    print(old.told(), first["made"].told(), LIMIT)
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_warm_runner_goes_by_the_definitions_of_now_and_takes_values_of_those_before(tmp_path, method):
    printed, said = ran(str(script(tmp_path, REDEFINED)), method)
    assert said == ""
    assert printed.splitlines() == [
        "(True, (1, 1), 1) (True, (1, 1), 1) True",
        "(True, (2, 2), 2) (False, (1, 2), 2) True",
        "(1, 2) (2, 2) 2",
    ]


def test_what_is_changed_in_a_class_or_a_constant_between_two_runs_is_seen_by_the_second(tmp_path):
    text = """
        import os

        from kernel import Runner, node, pipeline

        class Settings:
            limit = 1

        table = {"a": 1}

        def look(x):
            return Settings.limit, table["a"], os.getpid()

        with Runner("process_pool", workers=1) as runner:
            first = runner.run(pipeline([node(look, "x", "y")]), {"x": 1})["y"]
            Settings.limit = table["a"] = 2
            second = runner.run(pipeline([node(look, "x", "y")]), {"x": 1})["y"]
        print(first[:2], second[:2], first[2] == second[2])
    """
    assert ran(str(script(tmp_path, text)))[0] == "(1, 1) (2, 2) True\n"


def test_a_worker_that_replaces_another_has_the_definitions_too(tmp_path):
    text = """
        import os, pickle
        from pathlib import Path

        from kernel import node, pipeline, run

        class Kept:
            pass

        def dies_once(x):
            if not Path("died").exists():
                Path("died").touch()
                os.kill(os.getpid(), 9)
            return type(pickle.loads(pickle.dumps(Kept()))) is Kept

        print(run(pipeline([node(dies_once, "x", "y")]), {"x": 1}, executor="process_pool", workers=1)["y"])
    """
    assert ran(str(script(tmp_path, text)), cwd=tmp_path)[0] == "True\n"


# -- what travels -----------------------------------------------------------------------------------------------------


def test_a_program_of_modules_alone_finds_the_class_of_the_script_that_a_file_names(tmp_path):
    text = """
        import operator

        from kernel import Runner, node, pipeline
        from kernel_files.pickle_ import PickleDataset

        class Base:
            pass

        class Model(Base):
            weight = 0.5

            def __eq__(self, other):
                return type(self) is type(other) and helper() == 1

            __hash__ = None

        def helper():
            return UNIT

        UNIT = 1
        kept = {"kept": PickleDataset("kept")}
        with Runner("sequential") as runner:
            runner.run(pipeline([node(dict, "x", "kept")]), {"x": {"weight": Model()}, **kept})
        take = operator.itemgetter("weight")
        for method in ("forkserver", "fork", "spawn"):
            with Runner("process_pool", workers=1, start_method=method) as runner:
                steps = [node(take, "kept", "y", name="take"), node(operator.eq, ["y", "z"], "same", name="eq")]
                print(runner.run(pipeline(steps), {"z": Model(), **kept})["same"])
    """
    assert ran(str(script(tmp_path, text)), cwd=tmp_path)[0] == "True\n" * 3


def unable(name):
    return f"the main module has {name!r}, but this worker cannot"


HEAVY = """
    import sys, threading

    import numpy as np

    from kernel import node, pipeline, run
    from kernel_files.pickle_ import PickleDataset

    class Untouchable:
        def __reduce_ex__(self, protocol):
            print("touched")
            raise RuntimeError("touched")

    untouchable = Untouchable()
    many = [Untouchable()] * 5
    large = np.zeros(50_000_000)

    def uses_what_no_node_does():
        return untouchable, many, large

    class Heavy:
        table = large

    class Locked:
        lock = threading.Lock()

    class Light:
        size = 1

    def look(x):
        import __main__

        found = [__main__.Light.size, callable(__main__.uses_what_no_node_does)]
        for name in ("Heavy", "Locked", "Missing"):
            try:
                getattr(__main__, name)
            except AttributeError as error:
                found.append(str(error))
        return found

    print(*run(pipeline([node(look, "x", "y")]), {"x": 1}, executor="process_pool", workers=1)["y"], sep="\\n")
"""


def test_data_that_no_node_needs_stays_and_what_cannot_be_sent_is_missed_with_its_reason(tmp_path):
    printed, said = ran(str(script(tmp_path, HEAVY)))
    assert said == ""
    assert printed.splitlines() == [
        "1",
        "True",
        f"{unable('Heavy')}: ValueError: it brings a ndarray of 400,000,000 bytes along",
        f"{unable('Locked')}: TypeError: cannot pickle '_thread.lock' object",
        "module '__main__' has no attribute 'Missing'",
    ]


def test_a_script_may_call_its_things_as_it_likes(tmp_path):
    text = """
        import pickle

        from kernel import node, pipeline, run

        class main: ...
        class load: ...
        class complete: ...
        class _own: ...
        class _lock: ...
        class _others: ...
        def program(): ...

        kinds = [main, load, complete, _own, _lock, _others, program]

        def look(x):
            import __main__

            same = pickle.loads(pickle.dumps(kinds))
            return all(a is b is getattr(__main__, b.__name__) for a, b in zip(same, kinds))

        if __name__ == "__main__":
            for executor in ("process_pool", "futures"):
                print(run(pipeline([node(look, "x", "y")]), {"x": 1}, executor=executor)["y"])
    """
    assert ran(str(script(tmp_path, text)))[0] == "True\nTrue\n"


def test_a_value_of_a_class_that_cannot_be_sent_says_why_it_cannot_be_rebuilt(tmp_path):
    text = """
        import threading

        from kernel import node, pipeline, run
        from kernel.errors import NodeError

        class Locked:
            lock = threading.Lock()

        try:
            run(pipeline([node(id, "given", "y", name="reads")]), {"given": Locked()}, executor="process_pool")
        except NodeError as error:
            print(error)
    """
    printed, _ = ran(str(script(tmp_path, text)))
    assert "node 'reads' failed" in printed
    assert "without 'Locked', which cannot be sent to workers: TypeError: cannot pickle '_thread.lock'" in printed


def test_workers_import_neither_cloudpickle_nor_what_only_unused_definitions_need(tmp_path):
    text = """
        import sys

        import yaml

        from kernel import node, pipeline, run

        class Unused:
            load = staticmethod(yaml.safe_load)

        def unused():
            return yaml.safe_load("1")

        def helper(x):
            return x + 1

        def look(x):
            return helper(x), sorted({"cloudpickle", "yaml", "multiprocessing"} & sys.modules.keys())

        print(run(pipeline([node(look, "x", "y")]), {"x": 1}, executor="process_pool", workers=1)["y"])
    """
    assert ran(str(script(tmp_path, text)))[0] == "(2, [])\n"


def test_annotations_in_words_have_their_meaning_in_workers_and_need_not_have_one(tmp_path):
    text = """
        from __future__ import annotations

        import decimal, typing
        import in_the_runner_alone
        from collections import OrderedDict
        from in_the_runner_alone import Thing

        from kernel import node, pipeline, run

        class Leaf:
            value: decimal.Decimal

        class Tree:
            leaves: list["Leaf"]
            more: typing.Optional[OrderedDict[str, Tree]]

        def look(x: int) -> Tree:
            hints = typing.get_type_hints(Tree), typing.get_type_hints(look), typing.get_type_hints(Leaf)
            return [hints[0]["leaves"] == list[Leaf], hints[1]["return"] is Tree, hints[2]["value"] is decimal.Decimal]

        def odd(thing: Thing, x: in_the_runner_alone.Thing) -> not python:
            return thing

        steps = [node(look, "x", "y"), node(odd, ["x", "x"], "z")]
        import sys
        sys.path.remove(sys.argv[1])
        print(run(pipeline(steps), {"x": 1}, executor="process_pool", workers=1)["y"])
    """
    alone = tmp_path / "alone"
    alone.mkdir()
    (alone / "in_the_runner_alone.py").write_text("class Thing: ...\n")
    started = f"import sys; sys.path.append({str(alone)!r}); "
    file = script(tmp_path, textwrap.dedent(text).replace("import decimal", f"{started}import decimal", 1))
    printed, said = ran(str(file), str(alone))
    assert (printed, said) == ("[True, True, True]\n", "")


def test_functions_that_share_a_variable_or_call_themselves_still_do_in_workers(tmp_path):
    text = """
        from kernel import node, pipeline, run

        def counter():
            count = 0

            def more():
                nonlocal count
                count += 1
                return count

            def told():
                return count

            def down(n):
                return n and down(n - 1)

            return more, told, down

        more, told, down = counter()

        def look(x):
            more()
            return told(), more(), told(), down(3)

        print(run(pipeline([node(look, "x", "y")]), {"x": 1}, executor="process_pool", workers=1)["y"], told())
    """
    assert ran(str(script(tmp_path, text)))[0] == "(1, 2, 2, 0) 0\n"


def test_what_comes_home_by_value_leaves_the_scripts_globals_and_classes_as_they_are(tmp_path):
    text = """
        from kernel import node, pipeline, run

        LIMIT = 1

        def local():
            class Local:
                def told(self):
                    return LIMIT
            return Local

        Local = local()
        before = Local.told, local, globals().copy()

        def change(kind, x):
            global LIMIT
            LIMIT = 5
            kind.told = lambda self: 7
            return lambda y: LIMIT + y, kind()

        made = run(pipeline([node(change, ["kind", "x"], "y")]), {"kind": Local, "x": 1}, executor="process_pool")["y"]
        now = {name: thing for name, thing in globals().items() if name in before[2]}
        print(made[0](1), type(made[1]) is Local, made[1].told(), Local.told is before[0])
        print(LIMIT, all(now[name] is thing for name, thing in before[2].items()))
    """
    assert ran(str(script(tmp_path, text)))[0] == "2 True 1 True\n1 True\n"


# -- where errors and warnings point ----------------------------------------------------------------------------------

POINTS = """
    import linecache, sys, types, warnings

    from kernel import node, pipeline, run
    from kernel.errors import NodeError

    def remembered(file, text, where):
        linecache.cache[file] = (len(text), None, text.splitlines(True), file)
        exec(compile(text, file, "exec"), where)

    remembered("<cell 1>", "def in_a_cell(x):\\n    return int(x)  # in a cell\\n", globals())
    module = sys.modules["made_in_memory"] = types.ModuleType("made_in_memory")
    remembered("/gone/made.py", "def in_memory(x):\\n    return int(x)  # in a module\\n", vars(module))

    def outer(x):
        def inner(y):
            return int(y)  # in an inner function
        return inner(x)

    def closed():
        return lambda x: int(x)  # in a lambda

    def warn(x):
        warnings.warn("look here")  # in a warning

    if __name__ == "__main__":
        options = {"start_method": sys.argv[2]} if len(sys.argv) > 2 else {}
        for function in (in_a_cell, module.in_memory, outer, closed()):
            try:
                run(pipeline([node(function, "x", "y", name="n")]), {"x": "two"}, executor=sys.argv[1], **options)
            except NodeError as error:
                lines = error.traceback.splitlines()
                file = function.__code__.co_filename
                print(any(f'File "{file}", line' in line for line in lines), *(x for x in lines if "# in" in x))
        run(pipeline([node(warn, "x", None, name="n")]), {"x": 1}, executor=sys.argv[1], **options)
"""


@pytest.mark.parametrize("arguments", [*(["process_pool", method] for method in METHODS), ["futures"]], ids=" ".join)
def test_errors_and_warnings_name_the_file_and_show_the_line(tmp_path, arguments):
    file = script(tmp_path, POINTS)
    printed, said = ran(str(file), *arguments)
    shown = [line.partition("# ") for line in printed.splitlines()]
    assert [(start.split()[0], after) for start, _, after in shown] == [
        ("True", "in a cell"),
        ("True", "in a module"),
        ("True", "in an inner function"),
        ("True", "in a lambda"),
    ]
    number = next(at for at, line in enumerate(file.read_text().splitlines(), 1) if "# in a warning" in line)
    assert f"{file}:{number}: UserWarning: look here" in said
    assert 'warnings.warn("look here")  # in a warning' in said


def test_a_function_by_value_of_another_python_is_refused_and_not_run(tmp_path):
    from kernel.serialise import by_value
    from kernel.values.rebuilding import KIND_OF_CODE

    data = by_value(lambda x: x)
    other = KIND_OF_CODE[:-2] + "99"
    with pytest.raises(pickle.UnpicklingError, match=f"only the Python that wrote it can read: {other}"):
        pickle.loads(data.replace(KIND_OF_CODE.encode(), other.encode()))


def test_a_run_of_modules_alone_sends_nothing_more_than_its_program():
    from kernel_remote.definitions import ship

    shipment = ship([run, node])
    assert (shipment.definitions, shipment.others) == (None, b"")
    assert pickle.loads(shipment.program) == [run, node]
    assert pipeline is not None
