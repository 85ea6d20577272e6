"""The executor on Dask: its own suite runs in a network that has only a loopback; without `distributed` it says so."""

from __future__ import annotations

import subprocess
import sys

import pytest

from inner import run_inner

WITHOUT = """
import sys
sys.modules["distributed"] = None
"""


@pytest.mark.timeout(900)  # each of its tests has the usual limit
def test_the_suite_on_dask_passes():
    run_inner("engines/dask_suite.py")


def test_a_missing_distributed_is_one_line_that_names_the_extra(tmp_path):
    (tmp_path / "pyproject.toml").write_text('[tool.kernel]\npipelines = "flow:create"\nsource = "."\n')
    (tmp_path / "flow.py").write_text(
        "from kernel import node, pipeline\n\ndef create():\n    return pipeline([node(int, None, 'v')])\n"
    )
    script = f"{WITHOUT}\nfrom kernel.cli import main\nsys.exit(main(['run', '--executor', 'dask']))"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    told = [line for line in done.stderr.splitlines() if line.strip()]
    assert len(told) == 1, done.stderr
    assert "pip install 'kernel-pipelines[dask]'" in told[0]


def test_the_kernel_and_the_plugin_load_without_distributed():
    script = f"{WITHOUT}\nimport kernel, kernel_dask\nfrom kernel.plugins import load_executor\nload_executor('dask')"
    subprocess.run([sys.executable, "-c", script], check=True)
