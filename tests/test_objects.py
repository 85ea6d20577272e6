"""The catalog `objects` in a folder: what lies there while a run goes on, what stays, what is refused."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import object_nodes as nodes
from kernel import Runner, node, pipeline, run
from kernel.errors import ConfigError, DatasetError, NodeError, ValidationError
from kernel.specs.executor import Reach
from kernel.testing.opened import Opened
from kernel_objects import ObjectsCatalog
from watching import mounted, wait_until

BIG = np.arange(100_000.0)


@pytest.fixture
def opened(tmp_path):
    opened = Opened(ObjectsCatalog(url=tmp_path), Reach.PROCESS)
    yield opened
    opened.catalog._keep = "never"
    opened.catalog.close()


def objects(folder):
    return sorted(path for path in Path(folder).glob("run-*/*") if path.name != "index.json")


# ---- what lies there


def test_an_object_is_named_by_its_content_and_never_by_its_dataset(opened, tmp_path):
    opened.keep("secret name", BIG)
    (path,) = objects(tmp_path)
    assert path.name.partition("-")[0] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("above", "outside"), [("64KB", 1), ("1MB", 0), (0, 1), ("800.5kb", 0), ("800kb", 1), (None, 1)]
)
def test_values_up_to_a_size_travel_inside_their_handles(tmp_path, above, outside):
    opened = Opened(ObjectsCatalog(url=tmp_path, above=above, keep="never"), Reach.PROCESS)
    handle = opened.keep("v", BIG)
    assert len(objects(tmp_path)) == outside
    assert bool(opened.store.size(handle)) == bool(outside)
    assert opened.store.size(opened.keep("w", 1)) == 0
    opened.catalog.close()


def test_equal_values_share_an_object_until_both_are_released(opened, tmp_path):
    opened.keep("v", BIG)
    late = opened.store.save("w", BIG.copy())
    opened.catalog.adopt(["w"], [late])
    wait_until(lambda: len(objects(tmp_path)) == 1, "the second object to go")
    assert np.array_equal(
        opened.store.load("w", late), BIG
    )  # as a chain does, which has the handle from its own worker
    opened.catalog.release(["v"])
    opened.keep("x", BIG + 1)
    opened.catalog.release(["x"])
    wait_until(lambda: len(objects(tmp_path)) == 1, "what was released to go")
    assert np.array_equal(opened.get("w"), BIG)
    opened.catalog.release(["w"])
    wait_until(lambda: not objects(tmp_path), "the last object to go")


def test_equal_values_that_go_while_one_is_looked_for_are_passed_over(opened, tmp_path):
    opened.keep("v", BIG)
    (kept,) = objects(tmp_path)
    late = opened.store.save("w", BIG.copy())
    opened.catalog.adopt(["w"], [late])
    wait_until(lambda: len(objects(tmp_path)) == 1, "the second object to go")
    for at in range(30):  # listed, and not there when they are read, as others that go at this moment
        kept.with_name(f"{kept.name}{at}").symlink_to("nowhere")
    assert np.array_equal(opened.store.load("w", late), BIG)


def test_a_value_saved_while_an_equal_one_goes_is_there(opened, tmp_path):
    opened.keep("v", BIG)
    equal = opened.store.save("w", BIG.copy())
    opened.catalog.release(["v"])
    wait_until(lambda: len(objects(tmp_path)) == 1, "the first object to go")
    opened.catalog.adopt(["w"], [equal])
    assert np.array_equal(opened.get("w"), BIG)


def test_what_was_read_is_the_readers_own_and_can_be_changed(opened):
    opened.keep("v", BIG)
    first = opened.get("v")
    first += 1
    assert np.array_equal(opened.get("v"), BIG)
    assert first.ctypes.data % 16 == 0


def test_a_value_that_somebody_removed_is_named(opened, tmp_path):
    opened.keep("flights", BIG)
    objects(tmp_path)[0].unlink()
    with pytest.raises(DatasetError, match=r"flights: its value is not in .*run-.* any more"):
        opened.get("flights")


def test_a_value_that_was_cut_short_is_named(opened, tmp_path):
    opened.keep("flights", BIG)
    with objects(tmp_path)[0].open("r+b") as file:
        file.truncate(1000)
    with pytest.raises(DatasetError, match="flights"):
        opened.get("flights")


@pytest.mark.parametrize("executor", ["sequential", "threads", "process_pool", "futures"])
def test_nothing_is_left_after_a_good_run(tmp_path, executor):
    flow = pipeline(
        [
            node(nodes.zeros, "size", "a", name="a"),
            node(nodes.zeros, "size", "b", name="b"),
            node(nodes.same_sum, ["a", "b"], "sums", name="sums"),
            node(nodes.zeros, "size", "free", name="free"),
        ]
    )
    with run(
        flow, {"size": 100_000}, executor=executor, catalog="objects", catalog_options={"url": tmp_path}
    ) as result:
        assert result["sums"] == [0.0, 0.0]
        assert len(objects(tmp_path)) == 1
        assert result["free"].sum() == 0
    assert not list(tmp_path.iterdir())


def test_a_large_value_goes_through(tmp_path):
    opened = Opened(ObjectsCatalog(url=f"file://{tmp_path}", keep="never"), Reach.MACHINE)
    value = np.arange(8 << 20, dtype=np.int64)
    opened.keep("v", value)
    loaded = opened.get("v")
    assert np.array_equal(loaded, value)
    assert loaded.flags.writeable
    opened.catalog.close()


def test_threads_may_keep_values_in_memory_of_fsspec():
    flow = pipeline([node(nodes.zeros, "size", "a"), node(nodes.same_sum, "a", "s"), node(nodes.zeros, "size", "b")])
    options = {"executor": "threads", "catalog": "objects", "catalog_options": {"url": "memory://values"}}
    import fsspec

    files = fsspec.filesystem("memory")
    with run(flow, {"size": 100_000}, **options) as result:
        assert result["s"] == [0.0]
        assert len(files.find("/values")) == 1
    assert files.find("/values") == []


def test_two_runs_at_once_in_one_folder_do_not_touch_each_other(tmp_path):
    first, second = (Opened(ObjectsCatalog(url=tmp_path, keep="never"), Reach.PROCESS) for _ in range(2))
    first.keep("v", BIG)
    second.keep("v", BIG)
    first.catalog.close()
    assert np.array_equal(second.get("v"), BIG)
    second.catalog.close()
    assert not list(tmp_path.iterdir())


def test_a_run_that_failed_before_it_made_anything_leaves_nothing(tmp_path):
    (tmp_path / "fails").touch()
    flow = pipeline([node(nodes.report, ["folder", "array", "number"], "r")])
    given = {"folder": str(tmp_path), "array": BIG, "number": 1}
    with pytest.raises(NodeError):
        run(flow, given, catalog="objects", catalog_options={"url": tmp_path})
    assert not list(tmp_path.glob("run-*"))


def test_a_warm_runner_makes_a_folder_for_each_run(tmp_path):
    flow = pipeline([node(nodes.zeros, "size", "a")])
    with Runner("process_pool", "objects", catalog_options={"url": str(tmp_path)}, workers=1) as runner:
        results = [runner.run(flow, {"size": 100_000}) for _ in range(2)]
        assert len(list(tmp_path.iterdir())) == 2
        assert all(result["a"].sum() == 0 for result in results)
        for result in results:
            result.close()
    assert not list(tmp_path.iterdir())


# ---- what is refused


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "the option url"),
        ({"url": "nowhere://x"}, "fsspec knows no nowhere://"),
        ({"url": "/x", "above": "much"}, "above='much' is no size"),
        ({"url": "/x", "keep": "sometimes"}, "keep='sometimes' is none of failure, never, always"),
        ({"url": "/x", "resume": "../other"}, "no run's folder"),
        ({"url": "/x", "sotrage": 1}, "no option 'sotrage'"),
        ({"url": "/x", "storage": "secret"}, "storage is a mapping"),
    ],
)
def test_options_that_are_wrong_are_told_in_one_line(options, said):
    with pytest.raises(ConfigError, match=said) as caught:
        ObjectsCatalog(**options)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_missing_library_is_one_line_that_says_what_to_install(monkeypatch):
    import fsspec  # noqa: F401 - its registry is looked at

    monkeypatch.setitem(sys.modules, "s3fs", None)
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(ConfigError, match=r"pip install 'kernel-pipelines\[objects\]'") as caught:
        ObjectsCatalog(url="s3://bucket")
    assert "\n" not in str(caught.value)


def test_a_missing_fsspec_is_told_by_the_command_line_too(tmp_path):
    (tmp_path / "flow.py").write_text(
        "from kernel import node, pipeline as make\npipeline = make([node(dict, None, 'x')])"
    )
    hide = "import sys; sys.modules['fsspec'] = None; from kernel.cli import main; sys.exit(main())"
    words = ["run", "flow.py", "--catalog", "objects", "--catalog-option", "url=s3://bucket/prefix"]
    done = subprocess.run(
        [sys.executable, "-c", hide, *words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert "kernel-pipelines[objects]" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_a_local_folder_needs_no_library(tmp_path):
    script = (
        "import sys; sys.modules['fsspec'] = None\n"
        "from kernel import node, pipeline, run\n"
        f"options = {{'url': {str(tmp_path)!r}, 'above': '0'}}\n"
        "print(run(pipeline([node(sorted, 'x', 'y')]), {'x': [2, 1]}, catalog='objects', catalog_options=options)['y'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[1, 2]\n"
    assert not list(tmp_path.iterdir())


def test_memory_is_refused_where_workers_are_processes():
    flow = pipeline([node(nodes.zeros, "size", "a")])
    with pytest.raises(ValidationError, match="memory://"):
        run(flow, {"size": 1}, executor="process_pool", catalog="objects", catalog_options={"url": "memory://x"})


def test_a_place_that_cannot_be_written_is_found_out_before_anything_runs(tmp_path):
    (tmp_path / "file").touch()
    flow = pipeline([node(nodes.load, "folder", "a")])
    with pytest.raises(ConfigError, match=r"cannot be written and read: (NotADirectoryError|FileExistsError)"):
        run(flow, {"folder": str(tmp_path)}, catalog="objects", catalog_options={"url": tmp_path / "file" / "x"})
    assert nodes.ran(tmp_path) == {}


def test_a_full_place_is_an_error_that_names_the_dataset(tmp_path):
    small = tmp_path / "small"
    if not mounted(small, 1):
        pytest.skip("only root may mount a file system")
    try:
        flow = pipeline([node(nodes.zeros, "size", "flights", name="load")])
        options = {"executor": "process_pool", "catalog": "objects", "catalog_options": {"url": small}}
        with pytest.raises(NodeError, match=r"flights: its 8,000,1.. bytes cannot be written to .*No space left"):
            run(flow, {"size": 1_000_000}, **options)
        assert not list(small.iterdir())
    finally:
        subprocess.run(["umount", small], check=True)


# ---- secrets


def leaky_filesystem():
    from fsspec import AbstractFileSystem

    class LeakyFileSystem(AbstractFileSystem):
        protocol = "leaky"

        def pipe_file(self, path, value, **_):
            raise PermissionError(f"denied: {self.storage_options}")

        def makedirs(self, path, exist_ok=False):
            pass

        def mv(self, *_, **__):
            pass

    return LeakyFileSystem


def test_secrets_stand_in_no_error_and_no_repr(monkeypatch, caplog):
    import fsspec

    fsspec.register_implementation("leaky", leaky_filesystem(), clobber=True)
    options = {"url": "leaky://me:hunter2-long@host/x", "storage": {"token": "hunter3-long"}}
    catalog = ObjectsCatalog(**options, **{"storage.more": "hunter4-long"})
    with pytest.raises(ConfigError, match="leaky://host/x/run-") as caught:
        catalog.open({}, Reach.PROCESS, 1)
    error, told = caught.value, ""
    while error is not None:
        told += f"{error}{error!r}"
        error = error.__cause__ or error.__context__
    told += repr(catalog) + repr(vars(catalog)) + caplog.text
    assert "hunter" not in told


def test_what_cannot_be_removed_is_logged_and_the_run_is_good(tmp_path, monkeypatch, caplog):
    from kernel_objects.local import LocalFolder

    def refuse(self, *_):
        raise PermissionError("not yours")

    monkeypatch.setattr(LocalFolder, "remove", refuse)
    monkeypatch.setattr(LocalFolder, "remove_all", refuse)
    flow = pipeline([node(nodes.zeros, "size", "a"), node(nodes.same_sum, "a", "s")])
    with (
        caplog.at_level(logging.WARNING, "kernel"),
        run(flow, {"size": 100_000}, catalog="objects", catalog_options={"url": tmp_path}) as result,
    ):
        assert result["s"] == [0.0]
    assert "cannot be removed: PermissionError: not yours" in caplog.text
