"""The catalog `objects` on a server that speaks the language of S3: real pipelines, and what is there afterwards."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import traceback

import numpy as np
import pytest
import s3fs
from fsspec import asyn

import object_nodes as nodes
from kernel import node, pipeline, run
from kernel.errors import ConfigError, NodeError
from kernel.specs.executor import Reach
from kernel.testing.opened import Opened
from kernel_objects import ObjectsCatalog
from s3_server import KEY, SECRET, Bucket, serving


@pytest.fixture(scope="module")
def server():
    with serving() as url:
        yield url
        end_thread_of_fsspec()


def end_thread_of_fsspec():
    """End the thread that fsspec keeps for as long as its user lives: beside it nothing may be forked."""
    for known in list(s3fs.S3FileSystem._cache.values()):
        if known._s3 is not None:
            s3fs.S3FileSystem.close_session(known.loop, known._s3)
    s3fs.S3FileSystem.clear_instance_cache()
    loop, thread = asyn.loop[0], asyn.iothread[0]
    if thread is not None:
        asyncio.run_coroutine_threadsafe(loop.shutdown_default_executor(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        asyn.loop[0] = asyn.iothread[0] = None


@pytest.fixture
def bucket(server):
    made = Bucket(server)
    yield made
    made.close()


def flow():
    return pipeline(
        [
            node(nodes.load, "folder", "array", name="load"),
            node(nodes.double, ["folder", "array"], "doubled", name="double"),
            node(nodes.count, ["folder", "array"], "number", name="count"),
            node(nodes.report, ["folder", "doubled", "number"], "report", name="report"),
            node(nodes.zeros, "size", "free", name="zeros"),
        ]
    )


def given(folder):
    return {"folder": str(folder), "size": 50_000}


@pytest.mark.parametrize("executor", ["threads", "process_pool", "futures"])
def test_a_run_leaves_nothing_but_its_free_outputs_and_those_go_with_the_result(bucket, tmp_path, executor):
    with run(flow(), given(tmp_path), executor=executor, catalog="objects", catalog_options=bucket.options()) as result:
        assert result["report"] == 2.0 * (nodes.LARGE - 1)
        assert result["free"].sum() == 0
        (only,) = bucket.objects()
        assert only.startswith("run-")
    assert bucket.objects() == []


def test_a_run_that_failed_leaves_its_values_and_another_runs_only_what_is_missing(bucket, tmp_path):
    options = {"executor": "process_pool", "catalog": "objects"}
    (tmp_path / "fails").touch()
    with pytest.raises(NodeError, match="report"):
        run(flow(), given(tmp_path), **options, catalog_options=bucket.options(), on_failure="continue")
    folder = bucket.objects()[0].partition("/")[0]
    index = json.loads(bucket.read(f"{folder}/index.json"))
    assert index["values"].keys() == {"doubled", "number", "free", "folder"}
    (tmp_path / "fails").unlink()
    with run(flow(), given(tmp_path), **options, catalog_options=bucket.options(resume=folder)) as result:
        assert result["report"] == 2.0 * (nodes.LARGE - 1)
        assert result["free"].shape == (50_000,)
    assert nodes.ran(tmp_path) == {"count": 1, "double": 1, "load": 1, "report": 2}
    assert bucket.objects() == []


def test_two_runs_at_once_do_not_touch_each_other(bucket):
    first, second = (Opened(ObjectsCatalog(**bucket.options(keep="never")), Reach.PROCESS) for _ in range(2))
    for opened in (first, second):
        opened.keep("v", np.arange(100_000))
    first.catalog.close()
    assert second.get("v")[-1] == 99_999
    second.catalog.close()
    assert bucket.objects() == []


def test_a_value_of_64_megabytes_goes_through(bucket):
    opened = Opened(ObjectsCatalog(**bucket.options(keep="never")), Reach.PROCESS)
    value = np.arange(8 << 20, dtype=np.int64)
    opened.keep("v", value)
    loaded = opened.get("v")
    assert np.array_equal(loaded, value)
    assert loaded.flags.writeable
    opened.catalog.close()


@pytest.mark.parametrize("wrong", ["bucket", "server"])
def test_a_place_that_is_not_there_is_found_out_before_anything_runs_and_no_secret_is_told(bucket, tmp_path, wrong):
    options = bucket.options()
    if wrong == "bucket":
        options["url"] = "s3://no-such-bucket/values"
    else:
        impatient = {"retries": {"max_attempts": 1}, "connect_timeout": 1}
        options["storage"] = {**bucket.storage, "endpoint_url": "http://127.0.0.1:1", "config_kwargs": impatient}
    with pytest.raises(ConfigError, match="cannot be written and read") as caught:
        run(flow(), given(tmp_path), executor="process_pool", catalog="objects", catalog_options=options)
    told = "".join(traceback.format_exception(caught.value))
    assert SECRET not in told
    assert KEY not in told
    assert nodes.ran(tmp_path) == {}


def test_the_command_line_reaches_it_and_shows_no_secret(bucket, tmp_path):
    (tmp_path / "flow.py").write_text(
        "from kernel import node, pipeline as make\n"
        "def fail(x):\n    raise ValueError('on purpose')\n"
        "def make_it():\n    return bytes(100_000)\n"
        "pipeline = make([node(make_it, None, 'x'), node(fail, 'x', 'y')])\n"
    )
    storage = [f"storage.{name}={value}" for name, value in bucket.storage.items() if name == "endpoint_url"]
    words = ["run", "flow.py", "-x", "process_pool", "--catalog", "objects", "--log-level", "info", "--full-traceback"]
    settings = [word for each in (f"url={bucket.url}", *storage) for word in ("--catalog-option", each)]
    done = subprocess.run(
        [sys.executable, "-m", "kernel", *words, *settings],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "", "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET},
    )
    assert done.returncode == 1
    folder = bucket.objects()[0].partition("/")[0]
    assert f"resume={folder}" in done.stderr
    told = done.stdout + done.stderr + bucket.read(f"{folder}/index.json").decode()
    assert SECRET not in told
    assert KEY not in told
