"""A run that is ended by a signal: its exit code, what it says, and that no process is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from watching import LIMIT, wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of POSIX")

FLOW = """
    import os, time
    from pathlib import Path
    from kernel import node, pipeline

    def quick(a):
        return a

    def slow(a):
        Path("pid").write_text(str(os.getpid()))
        Path("pid").rename("started")
        time.sleep(120)

    pipeline = pipeline([node(quick, "a", "b", name="quick"), node(slow, "b", "c", name="slow")])
    datasets = {"a": 1}
"""


def is_left(run: subprocess.Popen[str], folder: Path) -> bool:
    """Say whether a process of the run's group, or the one that ran the slow node, is still there."""
    for look, number in ((os.killpg, run.pid), (os.kill, int((folder / "started").read_text()))):
        with suppress(ProcessLookupError):
            look(number, 0)
            return True
    return False


@pytest.fixture
def started(tmp_path):
    """Start a run in a process group of its own; give the process once its slow node runs."""
    (tmp_path / "flow.py").write_text(dedent(FLOW))
    runs: list[subprocess.Popen[str]] = []

    def start(*words: str) -> subprocess.Popen[str]:
        run = subprocess.Popen(
            [sys.executable, "-m", "kernel", "run", "flow.py", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            start_new_session=True,
        )
        runs.append(run)
        wait_until(lambda: (tmp_path / "started").exists() or run.poll() is not None, "the slow node")
        return run

    yield start
    for run in runs:
        with suppress(ProcessLookupError):
            os.killpg(run.pid, signal.SIGKILL)
        run.communicate(timeout=LIMIT)


@pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143), ("SIGHUP", 129)])
@pytest.mark.parametrize("executor", ["sequential", "threads", "process_pool"])
def test_a_signal_to_the_command_ends_the_run_with_its_code_and_leaves_no_process(
    started, tmp_path, executor, name, code
):
    run = started("-x", executor, "--grace", "0.2")
    run.send_signal(getattr(signal, name))
    out, err = run.communicate(timeout=LIMIT)
    assert run.returncode == code, err
    assert f" INTERRUPTED by {name}\n" in err
    assert err.splitlines()[-1].endswith('--grace 0.2 --from-nodes "quick"')
    assert " 2 nodes  1 ok" in out
    wait_until(lambda: not is_left(run, tmp_path), "the end of all processes of the run")


def test_ctrl_c_in_a_terminal_reaches_the_workers_too_and_ends_the_same_way(started, tmp_path):
    run = started("-x", "process_pool", "--grace", "0.2")
    os.killpg(run.pid, signal.SIGINT)
    _, err = run.communicate(timeout=LIMIT)
    assert run.returncode == 130, err
    assert err.count("INTERRUPTED by SIGINT") == 1
    assert "Traceback" not in err
    wait_until(lambda: not is_left(run, tmp_path), "the end of all processes of the run")


def test_ctrl_c_while_the_project_is_read_is_no_traceback(tmp_path):
    (tmp_path / "flow.py").write_text(
        "import time\nfrom pathlib import Path\nPath('started').touch()\ntime.sleep(120)\n"
    )
    run = subprocess.Popen(
        [sys.executable, "-m", "kernel", "run", "flow.py"], stderr=subprocess.PIPE, text=True, cwd=tmp_path
    )
    wait_until((tmp_path / "started").exists, "the import of the project")
    run.send_signal(signal.SIGINT)
    _, err = run.communicate(timeout=LIMIT)
    assert (run.returncode, err) == (130, " INTERRUPTED by SIGINT\n")
