"""The example comes to the same metrics wherever its nodes run; those on engines are compared beside them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

FLIGHTS = Path(__file__).parents[1] / "examples" / "flights"

pytestmark = pytest.mark.timeout(200)

#: Fewer rounds than the example has: what is asked is whether all executors agree.
LESS = ["--params", "trees.rounds=2", "--to-outputs", "metrics"]


def metrics(folder, *options):
    """Run the example in a folder of its own; return the file with the metrics as it was written."""
    shutil.copytree(FLIGHTS, folder, ignore=shutil.ignore_patterns("data"))
    command = [sys.executable, "-m", "kernel", "run", folder, *LESS, *options]
    done = subprocess.run(command, cwd=folder.parent, capture_output=True, text=True, timeout=150, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return (folder / "data" / "metrics.json").read_text()


@pytest.fixture(scope="module")
def in_one_process(tmp_path_factory):
    return metrics(tmp_path_factory.mktemp("flights") / "sequential", "--executor", "sequential")


@pytest.mark.parametrize(
    "options",
    [
        ["--executor", "threads"],
        ["--executor", "process_pool"],
        ["--executor", "process_pool", "--start-method", "fork"],
        [
            *("--executor", "futures", "--executor-option", "factory=loky:get_reusable_executor"),
            *("--catalog", "objects", "--catalog-option", "url=file://{folder}/objects"),
        ],
    ],
    ids=["threads", "process_pool", "forked", "loky"],
)
def test_the_metrics_are_the_same_on_every_executor(options, in_one_process, tmp_path):
    options = [option.format(folder=tmp_path) for option in options]
    assert metrics(tmp_path / "flights", *options, "--workers", "2") == in_one_process
