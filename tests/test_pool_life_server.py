"""Whoever is killed, driver or server: nothing goes on running that should not, and a run goes on if it can."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pool_life
from kernel import Runner, node, pipeline
from kernel.errors import KernelError, WorkerLost

METHODS = ["fork", "spawn", "forkserver"]


@pytest.mark.parametrize("method", METHODS)
def test_when_the_driver_is_killed_all_ends_beside_another_pool_that_holds_copies_of_what_it_had_open(
    method, tmp_path, no_leftovers
):
    environment = {**os.environ, "DRIVEN_BY": str(tmp_path)}
    driver = subprocess.Popen([sys.executable, pool_life.__file__, str(tmp_path), method], env=environment)
    told = [tmp_path / name for name in ("one", "4", "other")]
    pool_life.wait_until(lambda: all(path.exists() and path.read_text() for path in told), "both nodes")
    *pids, other = (int(pid) for path in told for pid in path.read_text().split())
    driver.kill()
    driver.wait()
    try:
        pool_life.wait_until(lambda: not [pid for pid in pids if pool_life.is_alive(pid)], "the end of workers")
        pool_life.wait_until(lambda: set(pool_life.marked(str(tmp_path))) <= {other}, "the end of the server")
    finally:
        os.kill(other, signal.SIGKILL)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_survives_the_death_of_the_process_that_makes_workers(method, tmp_path, no_leftovers):
    steps = pipeline(
        [
            node(pool_life.kill_the_server_once, "folder", "left", name="kills"),
            *(node(pool_life.sleep, "seconds", f"slept{at}", name=f"sleeps{at}") for at in range(20)),
            node(str, "left", "told", name="tells"),
        ]
    )
    with Runner("process_pool", workers=2, start_method=method) as runner:
        result = runner.run(steps, {"folder": str(tmp_path), "seconds": 0.01})
        assert not pool_life.is_alive(int(result["told"]))
        assert runner.run(pipeline([node(pool_life.process, "x", "pid")]), {"x": 0})["pid"]


def test_a_server_that_dies_while_its_workers_are_idle_is_replaced_in_the_next_run():
    steps = pipeline([node(os.getppid, None, "server")])
    with Runner("process_pool", workers=1) as runner:
        before = runner.run(steps)["server"]
        os.kill(before, signal.SIGKILL)
        pool_life.wait_until(lambda: not pool_life.is_alive(before), "the end of the server")
        after = runner.run(steps)["server"]
    assert before != after


def test_the_deaths_that_a_dead_server_brings_count_for_the_nodes_that_ran():
    once = pipeline([node(pool_life.kill_the_server, "x", "y", name="kills", death_retries=0)])
    always = pipeline([node(pool_life.kill_the_server, "x", "y", name="kills")])
    with Runner("process_pool", workers=1) as runner:
        for steps, attempts in ((once, 1), (always, 2)):
            with pytest.raises(WorkerLost, match="the process that makes workers") as caught:
                runner.run(steps, {"x": 0})
            assert (caught.value.node, caught.value.attempts) == ("kills", attempts)


def test_a_server_that_always_dies_ends_the_run_with_an_error(tmp_path, monkeypatch):
    library = tmp_path / "site-packages"
    library.mkdir()
    (library / "deadly_to_others.py").write_text(
        "import os\nif os.environ.get('DRIVER') != str(os.getpid()):\n    os._exit(3)\n"
    )
    (tmp_path / "user_of_deadly.py").write_text("import deadly_to_others\ndef same(x):\n    return x\n")
    monkeypatch.syspath_prepend(library)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("DRIVER", str(os.getpid()))
    import user_of_deadly

    steps = pipeline([node(user_of_deadly.same, "x", "y")])
    with pytest.raises(KernelError, match="makes workers ended 3 times before it had made one"):
        Runner("process_pool", workers=1, start_method="forkserver").run(steps, {"x": 0})


def test_a_driver_that_is_killed_while_the_server_loads_modules_leaves_nothing(tmp_path, no_leftovers):
    library = tmp_path / "site-packages"  # of libraries; a project's own modules are loaded by workers
    library.mkdir()
    (library / "slow.py").write_text(
        "import os, pathlib, time\n"
        "if os.environ.get('SLOW_DRIVER') != str(os.getpid()):\n"
        f"    pathlib.Path({str(tmp_path / 'loads')!r}).touch()\n"
        "    time.sleep(60)\n"
    )
    (tmp_path / "user_of_slow.py").write_text("import slow\ndef same(x):\n    return x\n")
    script = tmp_path / "script.py"
    script.write_text(
        "import os\nos.environ['SLOW_DRIVER'] = str(os.getpid())\n"
        f"import sys\nsys.path.append({str(library)!r})\n"
        "import user_of_slow as slow\nfrom kernel import node, pipeline, run\n"
        "run(pipeline([node(slow.same, 'x', 'y')]), {'x': 0}, executor='process_pool', workers=1)\n"
    )
    environment = {**os.environ, "DRIVEN_BY": str(tmp_path)}
    driver = subprocess.Popen([sys.executable, str(script)], env=environment)
    pool_life.wait_until(Path(tmp_path, "loads").exists, "the server")
    driver.kill()
    driver.wait()
    pool_life.wait_until(lambda: not pool_life.marked(str(tmp_path)), "the end of the server")
