"""Entry points are read as `importlib.metadata` reads them, of whatever lies on the search path."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, entry_points

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.plugins.entries import read_entries
from kernel.plugins.installed import GROUPS

pytestmark = pytest.mark.timeout(120)

ALL = frozenset(GROUPS.values())


def theirs():
    return sorted(
        (entry.group, entry.name, entry.value, entry.dist.name) for group in ALL for entry in entry_points(group=group)
    )


def ours():
    return sorted((entry.group, entry.name, entry.value, entry.distribution) for entry in read_entries(ALL))


def test_of_this_environment_the_same_is_read():
    assert ours() == theirs()
    assert {"sequential", "process_pool"} <= {name for _, name, _, _ in ours()}


names = st.sampled_from(["one", "One", "o-n.e", "o_n_e", "two", "two.more"])
endings = st.sampled_from(["-1.0.dist-info", "-2.0.dist-info", ".egg-info", "-1.0-py3.11.egg-info", ".dist-info"])
lines = st.lists(
    st.sampled_from(
        [
            "[kernel.hooks]",
            "[kernel.executors]",
            "[console_scripts]",
            "  [kernel.catalogs]  ",
            "# kernel",
            "",
            "a = module:attribute",
            "b=module.sub:Class.method [extra]",
            "c  =  module",
            "d = module : attribute",
            "é = müller:ß",
        ]
    ),
    max_size=8,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.tuples(names, endings, lines), max_size=4), max_size=3))
def test_of_any_folders_the_same_is_read(tmp_path, folders):
    path = list(sys.path)
    root = tmp_path / "path"
    try:
        for at, folder in enumerate(folders):
            place = root / str(at)
            place.mkdir(parents=True)
            sys.path.insert(0, str(place))
            for name, ending, text in folder:
                info = place / f"{name}{ending}"
                info.mkdir(exist_ok=True)
                file = "METADATA" if ending.endswith("dist-info") else "PKG-INFO"
                (info / file).write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n\nname: other\n")
                (info / "entry_points.txt").write_text("\n".join(["[other]", *text]), encoding="utf-8")
        assert ours() == theirs()
    finally:
        sys.path[:] = path
        shutil.rmtree(root, ignore_errors=True)


def test_what_is_no_folder_is_passed_over(tmp_path, monkeypatch):
    (tmp_path / "flat.egg-info").write_text("Name: flat\n")
    (tmp_path / "empty-1.dist-info").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.syspath_prepend(tmp_path / "nowhere")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert ours() == theirs()


def test_archives_and_path_objects_and_eggs_are_left_to_python(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("zipped-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: zipped\nVersion: 1.0\n")
        archive.writestr("zipped-1.0.dist-info/entry_points.txt", "[kernel.hooks]\nfrom_zip = zipped:listener\n")
    egg = tmp_path / "laid-1.0-py3.11.egg" / "EGG-INFO"
    egg.mkdir(parents=True)
    (egg / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: laid\nVersion: 1.0\n")
    (egg / "entry_points.txt").write_text("[kernel.hooks]\nfrom_egg = laid:listener\n")
    for place in (tmp_path / "a.zip", egg.parent):
        monkeypatch.setattr(sys, "path", [str(place), *sys.path])
        assert ours() == theirs()
    assert {"from_zip", "from_egg"} <= {name for _, name, _, _ in ours()}


def test_a_finder_that_brings_distributions_is_asked(monkeypatch):
    class Made(Distribution):
        def read_text(self, filename):
            texts = {"METADATA": "Name: made\nVersion: 1\n", "entry_points.txt": "[kernel.hooks]\nm = made:listener\n"}
            return texts.get(filename)

        def locate_file(self, path):
            return path

    class Finder:
        def find_spec(self, *_):
            return None

        def find_distributions(self, *_):
            return [Made()]

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder()])
    assert ours() == theirs()
    assert ("kernel.hooks", "m", "made:listener", "made") in ours()


def test_all_that_a_distribution_says_of_itself_can_be_asked_for():
    entry = next(entry for entry in read_entries(ALL) if entry.name == "sequential")
    assert entry.dist.name == entry.distribution == "kernel-pipelines"
    assert entry.dist.version
    assert entry.load().__name__ == "SequentialExecutor"


def test_a_run_does_without_the_module(tmp_path):
    (tmp_path / "flow.py").write_text(
        "import sys\nfrom kernel import node, pipeline as make\n"
        "def f():\n    assert not {'importlib.metadata', 'stevedore', 'email'} & set(sys.modules)\n    return 1\n"
        "pipeline = make([node(f, None, 'x', name='f')])\n"
    )
    command = [sys.executable, "-m", "kernel", "run", "flow.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
