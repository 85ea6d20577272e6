"""A stranger's plugins: built and installed as a distribution of their own, found by name, held to the same kit."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

THIRD_PARTY = Path(__file__).parents[1] / "examples" / "third_party"

SCRIPT = """
from kernel import node, pipeline, run

def double(records):
    return [{"number": record["number"] * 2} for record in records]

if __name__ == "__main__":
    from kernel import Datasets
    from kernel.plugins import load_dataset_type
    entries = {name: {"type": "jsonlines", "filepath": f"{name}.jsonl"} for name in ("numbers", "doubled")}
    datasets = Datasets.from_config(entries, types=load_dataset_type)
    datasets["numbers"].save([{"number": 1}, {"number": 2}])
    nodes = [node(double, "numbers", "doubled", name="double")]
    with run(pipeline(nodes), datasets, executor="thread_futures") as result:
        print(result["doubled"])
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build a wheel in a process of its own and unpack it, as an installer does; return the environment for it."""
    folder = tmp_path_factory.mktemp("third party")
    build = "import os, sys; from hatchling import build; os.chdir(sys.argv[1]); print(build.build_wheel(sys.argv[2]))"
    built = subprocess.run(
        [sys.executable, "-c", build, str(THIRD_PARTY), str(folder)], check=True, capture_output=True, text=True
    )
    site = folder / "site"
    with zipfile.ZipFile(folder / built.stdout.split()[-1]) as wheel:
        wheel.extractall(site)
    path = os.pathsep.join(filter(None, [str(site), os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path}


def python(installed, *arguments, **options):
    command = [sys.executable, *map(str, arguments)]
    environment = {**installed, **options.pop("env", {})}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


def test_kernel_lists_the_plugins_of_a_stranger(installed, tmp_path):
    listed = python(installed, "-m", "kernel", "plugins", cwd=tmp_path)
    lines = {
        name: line
        for line in listed.splitlines()
        for name in ("thread_futures", "jsonlines", "node_times")
        if name in line
    }
    assert len(lines) == 3, listed
    assert all("acme-plugins" in line for line in lines.values()), listed


def test_a_pipeline_runs_on_the_plugins_of_a_stranger(installed, tmp_path):
    script, times = tmp_path / "double.py", tmp_path / "times.txt"
    script.write_text(SCRIPT)
    printed = python(installed, script, cwd=tmp_path, env={"ACME_TIMES": str(times)})
    assert printed.strip() == "[{'number': 2}, {'number': 4}]"
    assert (tmp_path / "doubled.jsonl").read_text() == '{"number": 2}\n{"number": 4}\n'
    (line,) = times.read_text().splitlines()
    assert line.startswith("double DONE ")


def test_the_plugins_of_a_stranger_pass_the_kit(installed, tmp_path):
    project = ["-c", THIRD_PARTY / "pyproject.toml", "--rootdir", THIRD_PARTY]
    told = python(
        installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", *project, THIRD_PARTY / "tests", cwd=tmp_path
    )
    assert " passed" in told
    assert "skipped" not in told
