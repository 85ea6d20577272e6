"""Runs that end badly with the catalog `objects`: what they leave, and that another goes on from there."""

from __future__ import annotations

import base64
import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import object_nodes as nodes
import parallel_nodes
from kernel import node, pipeline, run
from kernel.errors import ConfigError, Interrupted, NodeError, ValidationError
from watching import is_alive, wait_until

SCRIPT = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import object_nodes as nodes
from test_objects_resume import flow
from kernel import run
if __name__ == "__main__":
    folder, url, last = sys.argv[1:]
    options = {{"url": url}}
    given = {{"folder": folder}}
    run(flow(getattr(nodes, last)), given, executor="process_pool", catalog="objects", catalog_options=options)
"""


def flow(last=nodes.report, **more):
    return pipeline(
        [
            node(nodes.load, "folder", "array", name="load"),
            node(nodes.double, ["folder", "array"], "doubled", name="double"),
            node(nodes.count, ["folder", "array"], "number", name="count"),
            node(last, ["folder", "doubled", "number"], "report", name="report", **more),
        ]
    )


@pytest.fixture
def place(tmp_path):
    (tmp_path / "values").mkdir()
    return tmp_path / "values"


def go(folder, place, pipe=None, executor="process_pool", given=None, **options):
    given = {"folder": str(folder), **(given or {})}
    more = {"only_missing_outputs": True} if options.pop("only_missing", False) else {}
    options = {"url": str(place), **options}
    return run(pipe or flow(), given, executor=executor, catalog="objects", catalog_options=options, **more)


def left(place):
    (folder,) = place.glob("run-*")
    return folder


def index(place):
    return json.loads((left(place) / "index.json").read_text())


def fail(folder, place, **options):
    (folder / "fails").touch()
    with pytest.raises(NodeError, match="as the test wants it") as caught:
        go(folder, place, **options)
    (folder / "fails").unlink()
    return caught.value


@pytest.mark.parametrize("executor", ["sequential", "threads", "process_pool", "futures"])
def test_a_run_that_failed_leaves_its_values_and_another_runs_only_what_is_missing(tmp_path, place, executor, caplog):
    fail(tmp_path, place, executor=executor)
    folder = left(place).name
    assert f"resume={folder}" in caplog.text
    with go(tmp_path, place, executor=executor, resume=folder) as result:
        assert result["report"] == 2.0 * (nodes.LARGE - 1)
    assert nodes.ran(tmp_path) == {"count": 1, "double": 1, "load": 1, "report": 2}
    assert not list(place.iterdir())


def test_a_run_that_was_gone_on_with_and_failed_can_be_gone_on_with_again(tmp_path, place):
    fail(tmp_path, place)
    folder = left(place).name
    error = fail(tmp_path, place, resume=folder)
    assert error.resume == ("load",)  # without the values, all begins with it
    assert left(place).name == folder
    with go(tmp_path, place, resume=folder) as result:
        assert result["report"] == 2.0 * (nodes.LARGE - 1)
    assert nodes.ran(tmp_path) == {"count": 1, "double": 1, "load": 1, "report": 3}


def test_a_run_that_was_killed_leaves_what_was_done(tmp_path, place):
    (tmp_path / "hangs").touch()
    (tmp_path / "script.py").write_text(SCRIPT)
    process = subprocess.Popen([sys.executable, tmp_path / "script.py", tmp_path, place, "wait"])
    try:
        wait_until((tmp_path / "waits").exists, "the last node to start")
        wait_until(lambda: len(index(place)["nodes"]) == 3, "the index to be written")
        with pytest.raises(ConfigError, match=f"still goes on, in process {process.pid}"):
            go(tmp_path, place, flow(nodes.wait), resume=left(place).name)
        assert is_alive(process.pid)
    finally:
        process.kill()
        process.wait()
    (tmp_path / "hangs").unlink()
    with go(tmp_path, place, flow(nodes.wait), resume=left(place).name) as result:
        assert result["report"] == 2.0 * (nodes.LARGE - 1)
    assert nodes.ran(tmp_path) == {"count": 1, "double": 1, "load": 1, "report": 2}
    assert not list(place.iterdir())


def test_a_run_that_was_interrupted_leaves_what_was_done(tmp_path, place):
    def interrupt(folder, doubled, number):
        if (Path(folder) / "hangs").exists():
            os.kill(os.getpid(), signal.SIGINT)
        return number

    (tmp_path / "hangs").touch()
    with pytest.raises(Interrupted):
        go(tmp_path, place, flow(interrupt), executor="sequential")
    (tmp_path / "hangs").unlink()
    with go(tmp_path, place, flow(interrupt), executor="sequential", resume=left(place).name) as result:
        assert result["report"] == nodes.LARGE
    assert nodes.ran(tmp_path) == {"count": 1, "double": 1, "load": 1}


def test_what_was_released_is_in_no_index_and_not_in_the_folder(tmp_path, place):
    fail(tmp_path, place)
    assert index(place)["values"].keys() == {"folder", "doubled", "number"}
    assert len(list(left(place).iterdir())) == 2  # the index, and the one large value that is still needed


@pytest.mark.parametrize(("keep", "stays"), [("never", False), ("failure", True), ("always", True)])
def test_whether_values_stay_after_a_failure_can_be_chosen(tmp_path, place, keep, stays):
    fail(tmp_path, place, keep=keep)
    assert bool(list(place.iterdir())) == stays


def test_values_that_always_stay_are_there_for_another_run_that_has_nothing_to_do(tmp_path, place):
    with go(tmp_path, place, keep="always", above=0):
        pass
    folder = left(place).name
    for _ in range(2):
        with go(tmp_path, place, keep="always", above=0, resume=folder) as result:
            assert result["report"] == 2.0 * (nodes.LARGE - 1)
    assert nodes.ran(tmp_path) == {"count": 1, "double": 1, "load": 1, "report": 1}
    with go(tmp_path, place, resume=folder):
        assert list(place.iterdir())
    assert not list(place.iterdir())


def test_nodes_that_save_to_files_are_not_run_again_and_their_files_are_read(tmp_path, place):
    saved = {"kept": parallel_nodes.FileDataset(tmp_path / "kept")}
    pipe = pipeline(
        [
            node(nodes.load, "folder", "array", name="load"),
            node(nodes.count, ["folder", "array"], "kept", name="count"),
            node(nodes.report, ["folder", "array", "kept"], "report", name="report"),
        ]
    )
    fail(tmp_path, place, pipe=pipe, given=saved)
    with go(tmp_path, place, pipe, given=saved, resume=left(place).name) as result:
        assert result["report"] == nodes.LARGE - 1
    assert nodes.ran(tmp_path) == {"count": 1, "load": 1, "report": 2}
    fail(tmp_path, place, pipe=pipe, given=saved)
    (tmp_path / "kept").unlink()
    with go(tmp_path, place, pipe, given=saved, resume=left(place).name) as result:
        assert result["report"] == nodes.LARGE - 1
    assert nodes.ran(tmp_path) == {"count": 3, "load": 2, "report": 4}


def test_a_value_that_is_not_there_any_more_is_made_again(tmp_path, place):
    fail(tmp_path, place)
    file = left(place) / "index.json"
    content = json.loads(file.read_text())
    del content["values"]["doubled"]
    file.write_text(json.dumps(content))
    with go(tmp_path, place, resume=left(place).name) as result:
        assert result["report"] == 2.0 * (nodes.LARGE - 1)
    assert nodes.ran(tmp_path) == {"count": 1, "double": 2, "load": 2, "report": 2}


def test_another_pipeline_or_selection_is_refused_and_leaves_the_values(tmp_path, place):
    fail(tmp_path, place)
    before = sorted(left(place).iterdir())
    for other in (flow().only_nodes("report", "double"), pipeline([node(nodes.load, "folder", "other")])):
        with pytest.raises(ValidationError, match=r"the run to go on with did .* nodes that this one does not have"):
            go(tmp_path, place, other, resume=left(place).name)
    with pytest.raises(ConfigError, match=r"there is no run to go on with in .*run-of-nobody"):
        go(tmp_path, place, resume="run-of-nobody")
    assert sorted(left(place).iterdir()) == before
    (left(place) / "index.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"index\.json cannot be read"):
        go(tmp_path, place, resume=left(place).name)


@pytest.mark.parametrize("executor", ["process_pool", "futures"])
def test_along_a_chain_only_the_node_that_failed_runs_again(tmp_path, place, executor):
    pipe = pipeline(
        [
            node(nodes.load, "folder", "array", name="load"),
            node(nodes.double, ["folder", "array"], "doubled", name="double"),
            node(nodes.double, ["folder", "doubled"], "twice", name="double_again"),
            node(nodes.report, ["folder", "twice", "number"], "report", name="report"),
        ]
    )
    fail(tmp_path, place, pipe=pipe, executor=executor, given={"number": 2})
    with go(tmp_path, place, pipe, executor=executor, given={"number": 2}, resume=left(place).name) as result:
        assert result["report"] == 4.0
    assert nodes.ran(tmp_path) == {"load": 1, "double": 2, "report": 2}


def test_new_inputs_are_read_by_the_nodes_that_are_left(tmp_path, place):
    pipe = pipeline(
        [
            node(nodes.load, "folder", "array", name="load"),
            node(nodes.report, ["folder", "array", "number"], "report", name="report"),
        ]
    )
    fail(tmp_path, place, pipe=pipe, given={"number": 1})
    with go(tmp_path, place, pipe, given={"number": 11}, resume=left(place).name) as result:
        assert result["report"] == 10.0


# -- whom it trusts ---------------------------------------------------------------------------------------------------


@pytest.fixture
def unfinished(tmp_path, place):
    """Leave a run behind that failed, and return its folder."""
    fail(tmp_path, place)
    return left(place)


def given_away(folder):
    if os.geteuid() != 0:
        pytest.skip("only root may give a folder away")
    os.chown(folder, 12345, -1)


def given_away_inside(folder):
    given_away(folder / "index.json")


def open_to_a_group(folder):
    folder.chmod(0o770)


def open_to_all(folder):
    folder.chmod(0o707)


@pytest.mark.parametrize("change", [given_away, given_away_inside, open_to_a_group, open_to_all])
def test_a_folder_that_others_own_or_may_write_is_refused_before_anything_in_it_is_read(
    change, unfinished, tmp_path, place
):
    change(unfinished)
    index = unfinished / "index.json"
    content = index.read_text()
    index.write_text("not even JSON")
    with pytest.raises(ConfigError, match=r"unpickles .* refused.* trust_others=yes") as caught:
        go(tmp_path, place, resume=unfinished.name)
    assert unfinished.name in str(caught.value)
    index.write_text(content)
    assert go(tmp_path, place, resume=unfinished.name, trust_others="yes")["report"]


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "", ".", "A" * 64 + "-00000000"])
def test_names_in_an_index_never_leave_its_folder(name, unfinished, tmp_path, place):
    index = unfinished / "index.json"
    content = json.loads(index.read_text())
    content["values"]["doubled"] = {"object": name, "size": 10}
    index.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="is not the name of an object"):
        go(tmp_path, place, resume=unfinished.name)


def test_a_pickled_value_of_an_index_may_not_say_that_it_is_an_object(unfinished, tmp_path, place):
    index = unfinished / "index.json"
    content = json.loads(index.read_text())
    pickled = base64.b64encode(pickle.dumps(("../secret", 10))).decode()
    content["values"]["doubled"] = {"pickle": pickled}
    index.write_text(json.dumps(content))
    with pytest.raises(ConfigError, match="says that it is an object"):
        go(tmp_path, place, resume=unfinished.name)


def test_what_is_neither_yes_nor_no_is_refused(tmp_path, place):
    with pytest.raises(ConfigError, match="trust_others='perhaps' is neither yes nor no"):
        go(tmp_path, place, trust_others="perhaps")
