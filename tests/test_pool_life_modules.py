"""Functions reach workers from wherever the driver has them; workers are where the driver is, and each is a chance."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
import textwrap
import threading
import types

import pytest

import pool_life
from kernel import Runner, node, pipeline, run
from kernel.errors import ConfigError, ValidationError

METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture
def made(monkeypatch):
    """Make a module of this code that has no file, in memory."""

    def make(name, code):
        module = types.ModuleType(name)
        exec(textwrap.dedent(code), module.__dict__)
        monkeypatch.setitem(sys.modules, name, module)
        return module

    return make


@pytest.mark.parametrize("method", METHODS)
def test_modules_that_are_found_since_a_moment_ago_are_found_by_workers_too(method, tmp_path, monkeypatch):
    with Runner("process_pool", workers=1, start_method=method) as runner:
        before = runner.run(pipeline([node(pool_life.process, "x", "pid")]), {"x": 0})["pid"]
        (tmp_path / f"late_{method}.py").write_text("def answer(x):\n    return x + 1\n")
        monkeypatch.syspath_prepend(tmp_path)
        late = importlib.import_module(f"late_{method}")
        steps = pipeline([node(late.answer, "x", "y"), node(pool_life.process, "x", "pid")])
        result = runner.run(steps, {"x": 41})
    assert (result["y"], result["pid"]) == (42, before)


@pytest.mark.parametrize("method", METHODS)
def test_functions_of_a_module_made_in_memory_go_by_value(method, made):
    module = made(
        "made_in_memory",
        """
        factor = 3

        def times(x):
            return Box(x * factor).value

        class Box:
            def __init__(self, value):
                self.value = value
        """,
    )
    steps = pipeline([node(module.times, "x", "y")])
    assert run(steps, {"x": 4}, executor="process_pool", workers=1, start_method=method)["y"] == 12


def test_functions_of_a_file_that_is_on_no_path_go_by_value(tmp_path, monkeypatch):
    file = tmp_path / "off_the_path.py"
    file.write_text("def answer(x):\n    return x + 1\n")
    spec = importlib.util.spec_from_file_location("off_the_path", file)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "off_the_path", module)
    spec.loader.exec_module(module)
    steps = pipeline([node(module.answer, "x", "y")])
    assert run(steps, {"x": 41}, executor="process_pool", workers=1)["y"] == 42


def test_what_cannot_go_by_value_from_a_module_in_memory_is_refused_with_the_way_out(made):
    module = made(
        "made_with_a_lock",
        """
        import threading

        lock = threading.Lock()

        def locked(x):
            with lock:
                return x
        """,
    )
    steps = pipeline([node(module.locked, "x", "y", name="locks")])
    with pytest.raises(ValidationError, match=r"'locks'.*lock.*'made_with_a_lock': put it into a file on sys.path"):
        run(steps, {"x": 1}, executor="process_pool", workers=1)


def test_a_worker_is_in_the_folder_where_its_runner_is_now(tmp_path, monkeypatch):
    steps = pipeline([node(pool_life.folder, "x", "folder")])
    with Runner("process_pool", workers=1) as runner:
        runner.run(steps, {"x": 0})
        monkeypatch.chdir(tmp_path)
        assert runner.run(steps, {"x": 0})["folder"] == str(tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_generators_of_random_numbers_differ_between_workers_and_between_runs(method, tmp_path):
    import numpy as np

    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - the global generator is what is tested
    drawn = []
    for at in range(2):
        folder = tmp_path / str(at)
        folder.mkdir()
        steps = pipeline([node(draw_after_meeting, "folder", name, name=name) for name in ("a", "b")])
        drawn += dict(
            run(steps, {"folder": str(folder)}, executor="process_pool", workers=2, start_method=method)
        ).values()
    assert len({first for first, _ in drawn}) == len({second for _, second in drawn}) == 4


def draw_after_meeting(folder):
    pool_life.meet(folder)
    import numpy  # noqa: F401, ICN001 - spawned workers have not loaded it before

    return pool_life.draw()


def test_a_lock_that_is_held_while_workers_start_does_not_hold_them_up():
    lock, held, done = threading.Lock(), threading.Event(), threading.Event()

    def hold():
        with lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    steps = pipeline([node(pool_life.process, "x", "pid")])
    try:
        for method in ("forkserver", "spawn"):
            assert run(steps, {"x": 0}, executor="process_pool", workers=1, start_method=method)["pid"] > 0
        with pytest.raises(ConfigError, match="fork"):
            run(steps, {"x": 0}, executor="process_pool", workers=1, start_method="fork")
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("from_input", [False, True])
def test_a_script_without_a_guard_runs_from_a_file_and_from_standard_input(tmp_path, from_input):
    code = textwrap.dedent(
        """
        from kernel import node, pipeline, run

        def double(x):
            return 2 * x

        steps = pipeline([node(double, "x", "y"), node(lambda y: y + 1, "y", "z")])
        print(run(steps, {"x": 20}, executor="process_pool", workers=1)["z"])
        """
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    command = [sys.executable, "-"] if from_input else [sys.executable, str(script)]
    done = subprocess.run(command, input=code, capture_output=True, text=True, timeout=60, check=True)
    assert (done.stdout, done.stderr) == ("41\n", "")
