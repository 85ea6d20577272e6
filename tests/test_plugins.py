"""Plugins: found, loaded, blocked and explained, with real distributions that are well, broken or at odds."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kernel.errors import ConfigError, PluginError
from kernel.hooks import Hooks
from kernel.plugins import (
    build,
    describe,
    load_catalog,
    load_dataset_type,
    load_executor,
    load_listeners,
    scan,
)

DISTRIBUTIONS = Path(__file__).parent / "broken_plugins"
OURS = "kernel-pipelines"  # its listeners are blocked where only the fake ones matter


@pytest.fixture
def installed(monkeypatch):
    """Install some of the distributions of `broken_plugins` for one test."""
    modules = set(sys.modules)
    monkeypatch.delenv("KERNEL_NO_PLUGINS", raising=False)

    def install(*names):
        for name in names:
            monkeypatch.syspath_prepend(DISTRIBUTIONS / name)
        scan.cache_clear()

    yield install
    monkeypatch.undo()
    scan.cache_clear()
    for path in DISTRIBUTIONS.glob("*/*.py"):
        if path.stem not in modules:
            sys.modules.pop(path.stem, None)


def refusal(call, *args, error=PluginError, **kwargs):
    with pytest.raises(error) as caught:
        call(*args, **kwargs)
    return str(caught.value)


def in_a_new_process(script):
    command = [sys.executable, "-c", textwrap.dedent(script)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


# ---- loading by name


def test_each_kind_of_plugin_is_loaded_by_its_name(installed):
    installed("works")
    assert load_executor("works").__name__ == "WorksExecutor"
    assert load_executor("works_by_function").__name__ == "make_executor"
    assert load_catalog("works").__name__ == "WorksCatalog"
    assert load_dataset_type("works")(where="here").where == "here"


def test_only_the_plugin_that_was_named_is_imported(installed):
    installed("works", "raises")
    load_executor("works")
    assert "works_well" in sys.modules
    assert "raises_when_imported" not in sys.modules


def test_an_unknown_name_is_answered_with_the_installed_names_and_a_suggestion(installed):
    installed("works", "missing_module")
    text = refusal(load_executor, "workz")
    assert "no executor named 'workz' is installed. Did you mean 'works'?" in text
    for name in ("missing", "works", "works_by_function"):
        assert name in text.partition("Installed:")[2]
    assert "no dataset named 'zzz'" in refusal(load_dataset_type, "zzz")


def test_a_name_that_two_distributions_declare_is_refused_with_both_named(installed):
    installed("twin_a", "twin_b")
    text = refusal(load_executor, "twin")
    assert "'twin-a' (twin_a:Executor)" in text
    assert "'twin-b' (twin_b:Executor)" in text
    assert "twin_a" not in sys.modules, "a conflict is seen without importing anything"


@pytest.mark.parametrize(
    ("folder", "name", "cause"),
    [
        ("missing_module", "missing", "ModuleNotFoundError: No module named 'a_module_nobody_has'"),
        ("raises", "asserts", "AssertionError: sums are off"),
        ("raises", "leaves", "SystemExit: no licence"),
        ("twin_a", "twin", "has no attribute 'Executor'"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_named_with_distribution_entry_point_and_cause(
    installed, folder, name, cause
):
    installed(folder)
    text = refusal(load_executor, name)
    entry = next(entry for entry in scan()["executor"] if entry.name == name)
    for part in (f"executor {name!r}", entry.dist.name, entry.value, cause, "--no-plugin does not help"):
        assert part in text


def test_a_missing_module_is_answered_with_the_extra_that_brings_it(installed):
    installed("missing_module")
    assert "pip install 'missing-module[engine]'" in refusal(load_executor, "missing")


@pytest.mark.parametrize(
    ("load", "name", "problem"),
    [
        (load_executor, "bare", "it lacks validate_nodes, start, wait, wake, cancel, capacity, shutdown"),
        (load_executor, "text", "it is a str, which cannot be called"),
        (
            load_catalog,
            "bare",
            "it lacks validate_catalog, open, handle, adopt, release, discard, worker_lost, settle",
        ),
        (load_dataset_type, "bare", "it is the class Bare, not a subclass of kernel.datasets.Dataset"),
        (load_dataset_type, "half", "it lacks save"),
    ],
)
def test_a_plugin_that_is_not_of_its_kind_is_refused_with_what_it_lacks(installed, load, name, problem):
    installed("other_things")
    text = refusal(load, name)
    assert problem in text
    assert "'other-things'" in text


def test_a_plugin_installed_after_the_first_scan_is_found(installed, tmp_path, monkeypatch):
    installed()
    monkeypatch.syspath_prepend(tmp_path)
    scan()
    info = tmp_path / "late-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kernel.executors]\nlate = late_module:make\n")
    (tmp_path / "late_module.py").write_text("def make(): ...\n")
    assert load_executor("late").__name__ == "make"
    (info / "entry_points.txt").write_text("[kernel.executors]\nlater = late_module:make\n")
    scan.cache_clear()
    assert load_executor("later").__name__ == "make"
    assert "no executor named 'late'" in refusal(load_executor, "late")
    sys.modules.pop("late_module")


# ---- listeners


def test_listeners_come_with_name_distribution_and_the_name_that_workers_find_them_by(installed):
    installed("works")
    first, second = load_listeners([OURS])
    assert (first.name, first.distribution, first.target) == ("works", "works-well", "works_well:Counts")
    assert (second.name, second.target) == ("works_ready", "works_well:ready")
    assert type(first.plugin).__name__ == "Counts", "a class is built"
    refs = Hooks([first, second]).worker_refs()
    assert [ref.target for ref in refs] == ["works_well:Counts", "works_well:ready"]


def test_without_plugins_nothing_is_loaded(installed):
    installed("raises", "twin_a", "twin_b")
    assert load_listeners(enabled=False) == []


@pytest.mark.parametrize("blocked", [["raises", "needs_arguments"], ["Raises_When.Imported"]])
def test_a_blocked_listener_or_distribution_is_not_imported(installed, blocked):
    installed("works", "raises")
    assert [each.name for each in load_listeners([OURS, *blocked])] == ["works", "works_ready"]
    assert "raises_when_imported" not in sys.modules


def test_the_variable_blocks_as_well(installed, monkeypatch):
    installed("works", "raises")
    monkeypatch.setenv("KERNEL_NO_PLUGINS", f"raises-when-imported, {OURS},")
    assert [each.name for each in load_listeners(["works"])] == ["works_ready"]


def test_an_unknown_name_to_block_is_refused_with_the_installed_ones(installed):
    installed("works")
    text = refusal(load_listeners, ["wroks"])
    assert "--no-plugin names what is not installed: 'wroks'" in text
    assert "works (of works-well), works_ready (of works-well)" in text


def test_an_unknown_name_in_the_variable_is_a_warning(installed, monkeypatch):
    installed("works")
    monkeypatch.setenv("KERNEL_NO_PLUGINS", f"gone,{OURS}")
    with pytest.warns(UserWarning, match="KERNEL_NO_PLUGINS names what is not installed: 'gone'"):
        assert len(load_listeners()) == 2


@pytest.mark.parametrize(
    ("folder", "blocked", "parts"),
    [
        ("missing_module", [], ["'missing'", "'missing-module'", "a_module_nobody_has", "[engine]"]),
        (
            "raises",
            ["needs_arguments"],
            ["'raises'", "'raises-when-imported'", "RuntimeError: not on this system"],
        ),
        ("raises", ["raises"], ["'needs_arguments'", "'raises-when-imported'", "address"]),
    ],
)
def test_a_broken_listener_is_named_with_distribution_cause_and_the_flag_that_skips_it(
    installed, folder, blocked, parts
):
    installed(folder)
    text = refusal(load_listeners, [OURS, *blocked])
    for part in [*parts, f"--no-plugin {parts[0][1:-1]}"]:
        assert part in text


def test_listeners_of_one_name_are_refused_until_one_distribution_is_blocked(installed):
    installed("twin_a", "twin_b")
    text = refusal(load_listeners, [OURS])
    for part in ("'twin'", "'twin-a'", "'twin-b'", "--no-plugin twin-a or --no-plugin twin-b"):
        assert part in text
    assert [each.distribution for each in load_listeners([OURS, "twin-a"])] == ["twin-b"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("typo", ["'before_node_runs'", "Did you mean 'before_node_run'?"]),
        (
            "greedy",
            ["'before_node_run'", "'session'", "its arguments are node, catalog, inputs, is_async, run_id"],
        ),
    ],
)
def test_a_listener_that_fits_no_hook_is_named_with_distribution_and_flag(installed, name, parts):
    installed("wrong_hooks")
    others = {"typo", "greedy", "deaf"} - {name}
    text = refusal(Hooks, load_listeners([OURS, *others]))
    for part in [*parts, f"{name!r} of distribution 'wrong-hooks'", f"--no-plugin {name}"]:
        assert part in text


# ---- building


def test_a_plugin_is_built_from_its_options(installed):
    installed("works")
    built = build(load_executor("works"), "executor", "works", {"depth": 3, "colour": "blue"})
    assert (built.depth, built.colour) == (3, "blue")
    assert build(load_executor("works_by_function"), "executor", "works_by_function", {"depth": 1}).depth == 1


def test_unknown_and_missing_options_are_named_with_those_that_are_taken(installed):
    installed("works")
    text = refusal(build, load_executor("works"), "executor", "works", {"color": "secret"}, error=ConfigError)
    assert "executor 'works' has no option 'color' (did you mean 'colour'?) and needs the option 'depth'" in text
    assert "Its options are depth, colour, path." in text
    assert "secret" not in text


@pytest.mark.parametrize(
    ("limit", "error", "cause"),
    [(-1, ConfigError, "must not be negative"), (101, PluginError, "OSError: no room")],
)
def test_what_a_constructor_refuses_is_told_with_the_plugins_name(installed, limit, error, cause):
    installed("works")
    text = refusal(build, load_catalog("works"), "catalog", "works", {"limit": limit}, error=error)
    assert "catalog 'works'" in text
    assert cause in text


def test_what_a_factory_builds_must_keep_the_contract(installed):
    installed("works")
    options = {"half": True}
    text = refusal(build, load_executor("works_by_function"), "executor", "works_by_function", options)
    assert "built an object of type 'object', which lacks" in text
    for part in ("submit", "capabilities", "default_catalog"):
        assert part in text


# ---- explaining


def told(**keywords):
    return {(info.kind, info.name): info for info in describe(**keywords)}


def test_plugins_are_described_without_importing_any(installed):
    installed("works", "raises")
    found = told(load=False)
    info = found["listener", "works"]
    assert (info.distribution, info.version, info.value) == ("works-well", "1.2", "works_well:Counts")
    assert found["executor", "asserts"].status == "ok"
    assert not {"works_well", "raises_when_imported", "asserts_when_imported"} & set(sys.modules)


def test_a_loaded_description_says_doc_options_and_hooks(installed):
    installed("works")
    found = told(load=True)
    executor = found["executor", "works"]
    assert executor.doc == "Runs nothing, correctly."
    assert executor.options == ("depth", "colour='red'", "path=None")
    assert found["executor", "works_by_function"].options == ("**options",)
    assert found["dataset", "works"].options == ("where", "tags=...")
    assert found["listener", "works_ready"].hooks == ("after_node_run", "before_worker_stop")
    assert found["listener", "works"].doc == "Counts nodes."


def test_a_description_says_what_is_broken_or_blocked_and_why(installed, monkeypatch):
    installed("raises", "wrong_hooks", "twin_a", "twin_b", "other_things")
    monkeypatch.setenv("KERNEL_NO_PLUGINS", "needs_arguments")
    found = told(load=True, blocked=["typo"])
    assert found["executor", "asserts"].status == "broken: AssertionError: sums are off"
    assert "declared by several distributions" in found["executor", "twin"].status
    assert "it lacks save" in found["dataset", "half"].status
    assert found["listener", "typo"].status == found["listener", "needs_arguments"].status == "blocked"
    assert "'session'" in found["listener", "greedy"].status
    assert "listens to no hook" in found["listener", "deaf"].status


def test_what_the_kernel_comes_with_is_found_without_stevedore_and_loading_leaves_no_cache_file(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(DISTRIBUTIONS / "works"))
    for variable in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    script = """
        import sys
        from kernel.plugins import load_catalog, scan

        scan()
        load_catalog("memory")
        print({"stevedore", "importlib.metadata"} & set(sys.modules))
        load_catalog("works")
        print("stevedore" in sys.modules)
    """
    assert in_a_new_process(script) == "set()\nTrue\n"
    assert not list(tmp_path.rglob("*stevedore*")), "a list kept in a file would go stale after a reinstall"
