"""The executor on Ray: its tests proper run in a network of their own, for Ray listens on every interface."""

from __future__ import annotations

import subprocess
import sys

import pytest

from inner import run_inner

WITHOUT = "import sys; sys.modules['ray'] = None; "
REMEDY = "the executor 'ray' needs Ray: pip install 'kernel-pipelines[ray]'"


@pytest.mark.timeout(600)
def test_the_executor_on_ray_keeps_its_promises():
    run_inner("engines/ray_suite.py")


def test_without_ray_the_extra_is_named():
    script = "from kernel_ray import RayExecutor; RayExecutor()"
    done = subprocess.run([sys.executable, "-c", WITHOUT + script], capture_output=True, text=True, check=False)
    assert done.stderr.strip().splitlines()[-1] == f"kernel.errors.ConfigError: {REMEDY}"


def test_without_ray_the_command_line_says_so_in_one_line(tmp_path):
    flow = "from kernel import node, pipeline\npipeline = pipeline([node(str, None, 'x')])\n"
    (tmp_path / "flow.py").write_text(flow)
    script = "from kernel.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT + script, "run", "flow.py", "--executor", "ray"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode
    assert REMEDY in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
