"""The wheel, as a user installs it: what is in it, and that it runs without the checkout."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

SCRIPT = """
import json
import sys

checkout, wheel, libraries = sys.argv[1:]
# What `site` put there may be the checkout: an editable install is a line in a `.pth` file.
others = [path for path in sys.path if not f"{path}/".startswith(f"{checkout}/")]
sys.path[:] = [wheel, *others, libraries]

import kernel
import maths
from kernel import Runner, node, pipeline

flow = pipeline([
    node(maths.double, "number", "twice", name="double"),
    node(maths.double, "twice", "result", name="again"),
    node(maths.place, None, "place", name="place"),
])
found = {}
for executor in ("sequential", "threads", "process_pool"):
    result = Runner(executor, workers=2).run(flow, {"number": 5})
    found[executor] = [result["result"], result["place"]]
print(json.dumps(found))
"""

MATHS = """
def double(number):
    return 2 * number


def place():
    import kernel
    import kernel.worker

    return kernel.worker.__file__
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


@pytest.fixture(scope="module")
def unpacked(wheel, tmp_path_factory):
    folder = tmp_path_factory.mktemp("unpacked")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_plugins_are_packages_beside_the_kernel(names):
    packages = {name.partition("/")[0] for name in names if ".dist-info/" not in name}
    assert packages == {"kernel", *(path.name for path in ROOT.glob("plugins/*/kernel_*"))}


def test_it_holds_every_module_and_nothing_else(names):
    roots = [ROOT, *ROOT.glob("plugins/*")]
    modules = {
        str(path.relative_to(root))
        for root in roots
        for path in (root.rglob("*.py") if root != ROOT else (ROOT / "kernel").rglob("*.py"))
    }
    inside = {name for name in names if ".dist-info/" not in name}
    assert {name for name in inside if name.endswith(".py")} == modules
    assert {Path(name).name for name in inside if not name.endswith(".py")} <= {"py.typed"}


def test_it_says_that_it_is_typed(names):
    assert "kernel/py.typed" in names


def test_it_carries_its_licence(unpacked):
    (licence,) = unpacked.glob("*.dist-info/licenses/LICENSE")
    assert licence.read_text() == (ROOT / "LICENSE").read_text()
    assert "Apache License" in licence.read_text()


def test_its_metadata_name_what_it_needs(unpacked):
    (metadata,) = unpacked.glob("*.dist-info/METADATA")
    said = message_from_string(metadata.read_text())
    assert said["Name"] == "kernel-pipelines"
    assert said["License-Expression"] == "Apache-2.0"
    assert said["Requires-Python"] == ">=3.11"
    assert set(said.get_all("Provides-Extra")) >= {"datasets", "examples"}
    needed = [line for line in said.get_all("Requires-Dist") if "extra ==" not in line]
    assert {line.split(">")[0] for line in needed} == {
        "attrs",
        "click",
        "cloudpickle",
        "pluggy",
        "pyyaml",
        "stevedore",
    }


def test_it_runs_without_the_checkout(unpacked, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "maths.py").write_text(MATHS)
    command = [
        sys.executable,
        str(tmp_path / "script.py"),
        str(ROOT),
        str(unpacked),
        sysconfig.get_path("purelib"),
    ]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert done.stderr == ""
    ours = str(unpacked / "kernel" / "worker.py")
    assert json.loads(done.stdout) == {
        "sequential": [20, ours],
        "threads": [20, ours],
        "process_pool": [20, ours],
    }
