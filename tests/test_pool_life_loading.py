"""Who loads what: libraries once, for all workers; a project's own modules in each worker, which owns what is made."""

from __future__ import annotations

import importlib
import os
import socket
import subprocess
import sys
import textwrap

import pytest

from kernel import node, pipeline, run

METHODS = ["forkserver", "spawn"]
ALL = [*METHODS, "fork"]


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Write a module of the project, or of a library that is installed beside it, and import it here."""
    installed = tmp_path / "site-packages"
    installed.mkdir()
    monkeypatch.syspath_prepend(installed)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("THE_RUNNER", str(os.getpid()))
    names = []

    def write(name, code, *, library=False, load=True):
        file = (installed if library else tmp_path) / f"{name.replace('.', '/')}.py"
        file.parent.mkdir(exist_ok=True)
        file.write_text(textwrap.dedent(code))
        importlib.invalidate_caches()
        names.append(name)
        return importlib.import_module(name) if load else None

    yield write
    for name in names:
        sys.modules.pop(name, None)


#: Code of a module that remembers who imported it.
REMEMBERS = "import os\nmade_by = os.getpid()\n"
TELLS = """
import os
import socket
{}

def tell(x):
    return [os.getpid(), made_by, {}]
"""


def tell(module, **options):
    """Run `module.tell` in a worker; return the worker, and what it tells."""
    steps = pipeline([node(module.tell, "x", "told")])
    worker, *told = run(steps, {"x": 0}, executor="process_pool", workers=1, **options)["told"]
    return worker, told


@pytest.mark.parametrize("method", METHODS)
def test_a_project_is_imported_by_each_worker_and_its_libraries_by_their_maker(method, write):
    write("a_library", REMEMBERS, library=True)
    write("another_library", "class Thing:\n    pass\n" + REMEMBERS, library=True)
    write("helpers", "from another_library import Thing\n" + REMEMBERS)
    module = write(
        "steps_of_it",
        TELLS.format(
            "import a_library, helpers\n" + REMEMBERS,
            "helpers.made_by, a_library.made_by, __import__('another_library').made_by",
        ),
    )
    worker, (steps, helpers, library, another) = tell(module, start_method=method)
    assert steps == helpers == worker
    assert library == another
    assert (library == worker) is (method == "spawn")


def test_libraries_are_found_through_functions_classes_and_instances_and_never_asked(write):
    code = "def function():\n    pass\nclass Kind:\n    pass\nclass Other:\n    pass\n" + REMEMBERS
    for name in ("of_a_function", "of_a_class", "of_an_instance"):
        write(name, code, library=True)
    write(
        "asks_back",
        """
        class Proxy:
            def __getattribute__(self, name):
                raise RuntimeError(f"asked for {name}")
        """,
        library=True,
    )
    module = write(
        "finds_them",
        TELLS.format(
            "from of_a_function import function\nfrom of_a_class import Kind\n"
            "import of_an_instance, asks_back\nthing = of_an_instance.Other()\ndel of_an_instance\n"
            "proxy = asks_back.Proxy()\n" + REMEMBERS,
            "*(__import__(name).made_by for name in ('of_a_function', 'of_a_class', 'of_an_instance'))",
        ),
    )
    worker, (steps, *libraries) = tell(module)
    assert steps == worker
    assert worker not in libraries
    assert len(set(libraries)) == 1


def test_a_project_that_is_installed_itself_is_imported_by_each_worker(write):
    write("a_library", REMEMBERS, library=True)
    write("product.parts", REMEMBERS, library=True)
    module = write(
        "product.steps",
        TELLS.format("import a_library\nfrom product import parts\n" + REMEMBERS, "parts.made_by, a_library.made_by"),
        library=True,
    )
    worker, (steps, parts, library) = tell(module)
    assert steps == parts == worker != library


@pytest.mark.parametrize("method", ALL)
def test_threads_children_and_pipes_of_a_project_live_in_the_worker(method, write):
    module = write(
        "makes_much",
        """
        import os, queue, subprocess, threading

        asked, answered = queue.Queue(), queue.Queue()

        def serve():
            while True:
                answered.put(asked.get() + 1)

        def start():
            threading.Thread(target=serve, daemon=True).start()
            return subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

        child = start() if os.environ["THE_RUNNER"] != str(os.getpid()) else None

        def ask(x):
            global child
            child = child or start()
            asked.put(x)
            child.stdin.write(b"word\\n")
            child.stdin.flush()
            return answered.get(timeout=30), child.stdout.readline(), child.poll()
        """,
    )
    steps = pipeline([node(module.ask, "x", f"y{at}", name=f"n{at}") for at in range(4)])
    result = run(steps, {"x": 1}, executor="process_pool", workers=2, start_method=method)
    assert {tuple(each) for each in dict(result).values()} == {(2, b"word\n", None)}


@pytest.mark.parametrize("method", METHODS)
def test_a_generator_made_at_import_is_each_workers_own(method, write, tmp_path):
    module = write(
        "draws",
        """
        import random
        import numpy as np
        import pool_life

        rng, plain = np.random.default_rng(), random.Random()

        def draw(folder):
            pool_life.meet(folder)
            return float(rng.random()), plain.random()
        """,
    )
    steps = pipeline([node(module.draw, "folder", name, name=name) for name in ("a", "b")])
    drawn = dict(run(steps, {"folder": str(tmp_path)}, executor="process_pool", workers=2, start_method=method))
    assert len({first for first, _ in drawn.values()}) == len({second for _, second in drawn.values()}) == 2


#: What a module may do to the signals of the process that imports it.
UNDOINGS = {
    "ignored": "signal.signal(signal.SIGCHLD, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "blocked": "signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())",
    "woken elsewhere": "woken = socket.socketpair(); [each.setblocking(False) for each in woken]; "
    "signal.set_wakeup_fd(woken[0].fileno())",
    "an event loop's": "loop = asyncio.new_event_loop(); loop.add_signal_handler(signal.SIGCHLD, int); "
    "loop.add_signal_handler(signal.SIGINT, int)",
    "collected": "signal.signal(signal.SIGCHLD, lambda *_: os.waitpid(-1, os.WNOHANG))",
}


@pytest.mark.parametrize("library", [True, False], ids=["library", "project"])
@pytest.mark.parametrize("undoing", UNDOINGS)
def test_whatever_a_module_does_to_signals_deaths_are_survived_and_nodes_interrupted(undoing, library, write, tmp_path):
    script = tmp_path / "script.py"
    write("undoes", f"import asyncio, os, signal, socket\n{UNDOINGS[undoing]}\n", library=library, load=False)
    write(
        "in_workers",
        """
        import os, pathlib, time
        import undoes

        def dies_once(path):
            if not pathlib.Path(path).exists():
                pathlib.Path(path).touch()
                os.kill(os.getpid(), 9)
            return "survived"

        def waits(_):
            time.sleep(600)
        """,
        load=False,
    )
    script.write_text(
        textwrap.dedent(
            f"""
            import in_workers, signal
            from kernel import Policy, Runner, node, pipeline
            from kernel.errors import NodeError

            path = {str(script)!r} + "x"
            with Runner("process_pool", workers=1) as runner:
                print(runner.run(pipeline([node(in_workers.dies_once, "path", "y")]), {{"path": path}})["y"])
                try:
                    runner.run(pipeline([node(in_workers.waits, "x", "y", policy=Policy(timeout=0.1))]), {{"x": 0}})
                except NodeError as error:
                    print(type(error.cause).__name__)
            """
        )
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(tmp_path / "site-packages")])}
    done = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=90, check=False, env=environ
    )
    assert done.stdout.split() == ["survived", "TimeoutError"], done.stderr


def test_a_library_that_starts_a_thread_with_a_lock_is_no_danger_to_workers(write, caplog):
    module = write(
        "starts_a_thread",
        """
        import os, threading

        lock, held = threading.Lock(), threading.Event()

        def hold():
            with lock:
                held.set()
                threading.Event().wait()

        if os.environ["THE_RUNNER"] != str(os.getpid()) and not os.path.exists(__file__ + "loaded"):
            threading.Thread(target=hold, name="holds a lock", daemon=True).start()
            held.wait()
            open(__file__ + "loaded", "w").close()

        def locked(x):
            with lock:
                return x
        """,
        library=True,
    )
    user = write("uses_it", "from starts_a_thread import locked\n\ndef use(x):\n    return locked(x)\n")
    assert module.locked(1) == 1
    with caplog.at_level("INFO", "kernel"):
        assert run(pipeline([node(user.use, "x", "y")]), {"x": 7}, executor="process_pool")["y"] == 7
    assert any("start threads (holds a lock)" in record.getMessage() for record in caplog.records)


def test_a_library_that_cannot_be_loaded_early_is_told_of_and_loaded_by_the_worker(write, caplog):
    write(
        "late_riser",
        "import os\n"
        "if os.getppid() == int(os.environ['THE_RUNNER']):\n    raise ImportError('not so early')\n"
        "def same(x):\n    return x\n",
        library=True,
    )
    user = write("uses_it", "from late_riser import same\n\ndef use(x):\n    return same(x)\n")
    with caplog.at_level("INFO", "kernel"):
        assert run(pipeline([node(user.use, "x", "y")]), {"x": 7}, executor="process_pool", workers=1)["y"] == 7
    (told,) = [record.getMessage() for record in caplog.records if "late_riser" in record.getMessage()]
    assert told.endswith("ImportError: not so early")


#: Libraries that start threads of their own when they are used, and the use of each.
USED_AT_IMPORT = {
    "polars": "import polars as pl\ntable = pl.DataFrame({'a': list(range(1000)), 'b': [1, 2] * 500})\n"
    "def use(x):\n    return table.lazy().group_by('b').agg(pl.col('a').sum()).collect()['a'].sum() + x\n"
    "expected = use(0)\n",
    "sklearn": "import numpy as np\nfrom sklearn.cluster import KMeans\n"
    "data = np.random.default_rng(1).normal(size=(2000, 4))\n"
    "def use(x):\n"
    "    return int(KMeans(3, n_init=1, random_state=0).fit(data).predict(data).shape[0]) + x\n"
    "expected = use(0)\n",
    "rustworkx": "import rustworkx as rx\ngraph = rx.generators.path_graph(500)\n"
    "def use(x):\n    return int(rx.distance_matrix(graph, parallel_threshold=1).max()) + x\n"
    "expected = use(0)\n",
}


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("library", USED_AT_IMPORT)
def test_a_library_that_is_used_at_import_works_in_nodes(library, method, workers, write):
    pytest.importorskip(library)
    module = write(f"uses_{library}", USED_AT_IMPORT[library])
    steps = pipeline([node(module.use, "x", f"y{at}", name=f"n{at}") for at in range(4)])
    result = run(steps, {"x": 1}, executor="process_pool", workers=workers, start_method=method)
    assert set(dict(result).values()) == {module.expected + 1}


# -- runs where none should be ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ALL)
def test_a_module_that_starts_a_run_while_a_worker_imports_it_gets_one_clear_error(method, write, tmp_path):
    write(
        "starts_a_run",
        f"""
        from kernel import node, pipeline, run

        def same(x):
            return x

        options = dict(executor="process_pool", workers=1, start_method={method!r})
        print(run(pipeline([node(same, "x", "y")]), {{"x": 1}}, **options)["y"])
        """,
        load=False,
    )
    command = [sys.executable, "-c", "import starts_a_run"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path)
    if method == "fork":  # the worker has the module as its runner does: it never imports it
        assert done.stdout == "1\n", done.stderr
        return
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("kernel.errors.ConfigError: the module 'starts_a_run' starts a run")
    assert "if __name__ == '__main__':" in done.stderr


@pytest.mark.parametrize("method", METHODS)
def test_a_program_that_stands_for_the_interpreter_is_started_once_and_named(method, tmp_path):
    program = tmp_path / "program"
    program.write_text(
        textwrap.dedent(
            f"""\
            #!{sys.executable}
            import sys
            from kernel import node, pipeline, run

            sys.executable = {str(program)!r}
            print("started")
            steps = pipeline([node(abs, "x", "y")])
            print(run(steps, {{"x": 1}}, executor="process_pool", workers=1, start_method={method!r})["y"])
            """
        )
    )
    program.chmod(0o755)
    done = subprocess.run([program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stdout.split() == ["started", "started"]  # the program itself, and once in place of an interpreter
    assert f"started a run instead: {program} is not one" in done.stderr
    assert done.stderr.splitlines()[-1].startswith(f"kernel.errors.KernelError: {program} was started to make workers")


def test_what_a_node_starts_may_run_pipelines_of_its_own(tmp_path):
    script = tmp_path / "inner.py"
    script.write_text(
        "from kernel import node, pipeline, run\n"
        "print(run(pipeline([node(abs, 'x', 'y')]), {'x': -3}, executor='process_pool', workers=1)['y'])\n"
    )

    def start(script):
        return subprocess.run([sys.executable, script], capture_output=True, text=True, check=True).stdout

    steps = pipeline([node(start, "script", "y")])
    for method in ALL:
        assert (
            run(steps, {"script": str(script)}, executor="process_pool", workers=1, start_method=method)["y"] == "3\n"
        )


# -- fork -------------------------------------------------------------------------------------------------------------


def test_fork_beside_threads_of_a_library_that_forks_badly_is_a_warning_that_names_spawn(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "import polars\n"
        "from kernel import node, pipeline, run\n"
        "polars.DataFrame({'a': [1, 2]}).lazy().select(polars.col('a').sum()).collect()\n"
        "run(pipeline([node(abs, 'x', 'y')]), {'x': -3}, executor='process_pool', workers=1, start_method='fork')\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60, check=True)
    assert "threads of libraries (polars among them)" in done.stderr
    assert "'spawn'" in done.stderr


def test_descriptors_that_are_not_the_runners_stay_open_in_workers_that_are_forked():
    ours, theirs = socket.socketpair()

    def answer(number):
        with socket.socket(fileno=os.dup(number)) as stream:
            stream.send(b"here")
        return True

    steps = pipeline([node(answer, "number", "sent")])
    with ours, theirs:
        run(steps, {"number": theirs.fileno()}, executor="process_pool", workers=1, start_method="fork")
        assert ours.recv(4) == b"here"
