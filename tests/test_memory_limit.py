"""How much memory values take: a limit, files for what goes beyond, and clear errors when those are full, too."""

from __future__ import annotations

import gc
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kernel import Runner, node, pipeline
from kernel.errors import ConfigError, DatasetError
from kernel.specs.executor import Reach
from kernel_shared_memory import SharedMemoryCatalog, limits
from watching import mounted

MB = 1 << 20


def open_one(workers=1, **options):
    catalog = SharedMemoryCatalog(**options)
    return catalog, catalog.open({"locked": "readonly"}, Reach.PROCESS, workers)


def keep(catalog, store, name, data):
    catalog.adopt([name], [store.save(name, data)])
    return catalog.handle(name)


def left_in(folder):
    return {entry.name for entry in Path(folder).glob(f"kernel-{os.getuid()}-*")}


def on_disk(folder):
    return sum(file.stat().st_blocks * 512 for file in Path(folder).glob("kernel-*/arena-*"))


def open_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


@pytest.fixture
def tiny(tmp_path):
    """Mount a file system of 8 MiB, which only root may do."""
    path = tmp_path / "tiny"
    if not mounted(path, 8):
        pytest.skip("mounting a small file system is not permitted")
    yield path
    gc.collect()
    subprocess.run(["umount", "--lazy", path], check=True)


# -- what the limit is


@pytest.mark.parametrize(
    ("given", "size"),
    [(None, None), (0, 0), (12345, 12345), ("2GB", 2 * 10**9), ("1.5 GiB", 3 * 2**29), ("512k", 512_000), ("7", 7)],
)
def test_a_limit_is_a_number_of_bytes_or_a_text(given, size):
    assert limits.parse_limit(given) == size


def test_a_share_is_of_the_allowed_memory():
    assert limits.parse_limit("50%") == limits.allowed_memory() // 2
    assert 0 < limits.default_limit() <= limits.allowed_memory() // 2


@pytest.mark.parametrize("wrong", ["much", "-1", -1, True, 1.5, "5 pounds", ""])
def test_anything_else_is_refused(wrong):
    with pytest.raises(ConfigError, match=r"memory_limit=.* is no amount of memory"):
        SharedMemoryCatalog(memory_limit=wrong)


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/memory.max": "max\n", "a/memory.max": f"{64 * MB}\n"}, 64 * MB),
        ("0::/elsewhere\n", {"memory.max": f"{32 * MB}\n"}, 32 * MB),
        ("3:cpu:/x\n2:memory:/y\n", {"memory/y/memory.limit_in_bytes": f"{48 * MB}\n", "memory.max": "1\n"}, 48 * MB),
        ("0::/\n", {"memory.max": "max\n"}, os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")),
    ],
    ids=["around", "container", "first version", "none"],
)
def test_the_limits_of_control_groups_count(own, files, expected, tmp_path):
    (tmp_path / "own").write_text(own)
    for name, content in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    assert limits.allowed_memory(tmp_path / "groups", tmp_path / "own") == expected


# -- beyond the limit


def test_values_beyond_the_limit_go_to_files_and_read_like_others(tmp_path):
    catalog, store = open_one(memory_limit=10 * MB, spill=tmp_path)
    for number in range(5):
        keep(catalog, store, f"v{number}", np.full(MB // 2, float(number)))
    assert catalog.memory_in_use() <= 10 * MB
    assert on_disk(tmp_path) >= 12 * MB
    for number in range(5):
        loaded = store.load("x", catalog.handle(f"v{number}"))
        assert (loaded == number).all()
        loaded[:] = -1
        assert (store.load("x", catalog.handle(f"v{number}")) == number).all()
        with pytest.raises(ValueError, match="read-only"):
            store.load("locked", catalog.handle(f"v{number}"))[0] = 1
    assert len(left_in(tmp_path)) == 1
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o700}
    catalog.close()
    assert left_in(tmp_path) == set()


def test_without_need_there_is_no_folder(tmp_path):
    catalog, store = open_one(memory_limit="100MB", spill=tmp_path)
    keep(catalog, store, "x", np.ones(MB))
    assert left_in(tmp_path) == set()
    catalog.close()


def test_files_are_written_anew_and_given_back_like_memory(tmp_path):
    catalog, store = open_one(memory_limit=0, spill=tmp_path)
    for number in range(20):
        keep(catalog, store, str(number), np.full(MB // 2, float(number)))
        if number:
            assert store.load("x", catalog.handle(str(number - 1)))[-1] == number - 1
            catalog.release([str(number - 1)])
    assert catalog.memory_in_use() == 0
    assert on_disk(tmp_path) <= 3 * 5 * MB
    catalog.settle(["19"])
    assert on_disk(tmp_path) <= 5 * MB
    assert store.load("x", catalog.handle("19")).max() == 19
    catalog.close()


def test_free_memory_makes_room_before_anything_goes_to_a_file(tmp_path):
    catalog, store = open_one(memory_limit=10 * MB, spill=tmp_path)
    names = [str(number) for number in range(8)]
    for name in names:
        keep(catalog, store, name, np.ones(MB // 8))
    catalog.release(names[::2])  # none is large enough by itself
    keep(catalog, store, "large", np.full(5 * MB // 8, 3.0))
    assert left_in(tmp_path) == set()
    assert catalog.memory_in_use() <= 10 * MB
    assert store.load("large", catalog.handle("large")).sum() == 15 * MB / 8
    catalog.close()


def save_elsewhere(store, size, fill):
    """Save from another process, worker 0, which then stays idle; return the handle."""
    ours, theirs = multiprocessing.get_context("forkserver").Pipe()
    process = multiprocessing.get_context("forkserver").Process(target=serve_one, args=(store, theirs, size, fill))
    process.start()
    return ours.recv(), ours, process


def serve_one(store, connection, size, fill):
    store.open(0)
    connection.send(store.save("x", np.full(size, fill)))
    connection.recv()


def test_what_one_process_has_no_use_for_makes_room_for_another(tmp_path):
    catalog, store = open_one(memory_limit=20 * MB, spill=tmp_path)
    handle, connection, process = save_elsewhere(store, 2 * MB, 4.0)
    catalog.adopt(["theirs"], [handle])
    assert store.load("theirs", handle).sum() == 8 * MB
    catalog.release(["theirs"])
    keep(catalog, store, "ours", np.full(2 * MB, 5.0))
    assert left_in(tmp_path) == set()
    assert catalog.memory_in_use() <= 20 * MB
    connection.send("end")
    process.join()
    catalog.close()


def test_a_full_file_system_is_relieved_by_the_folder(tiny, tmp_path):
    catalog, store = open_one(directory=tiny, spill=tmp_path)
    for number in range(4):
        keep(catalog, store, str(number), np.full(MB // 2, float(number)))
    assert [store.load("x", catalog.handle(str(number)))[-1] for number in range(4)] == [0, 1, 2, 3]
    catalog.close()
    assert left_in(tmp_path) == left_in(tiny) == set()


def test_when_the_folder_is_full_too_the_error_names_the_dataset_and_what_to_do(tiny):
    catalog, store = open_one(memory_limit="1MB", spill=tiny)
    before = on_disk(tiny)
    for _ in range(3):
        with pytest.raises(DatasetError) as info:
            store.save("sales", np.ones(2 * MB))
        assert str(info.value).startswith("sales: no room for its 16,7")
        assert f"1,000,000 bytes) and in the spill folder {tiny}: No space left on device" in str(info.value)
        assert "option 'spill'" in str(info.value)
        assert on_disk(tiny) == before
    keep(catalog, store, "small", np.ones(MB // 2))
    assert store.load("small", catalog.handle("small")).sum() == MB // 2
    catalog.close()


def test_a_folder_that_cannot_be_used_is_refused_at_once(tmp_path):
    with pytest.raises(ConfigError, match=r"option 'spill' names .*missing"):
        open_one(spill=tmp_path / "missing")


def test_descriptors_do_not_grow_with_what_is_spilled(tmp_path):
    catalog, store = open_one(memory_limit=0, spill=tmp_path)
    keep(catalog, store, "first", np.ones(MB // 8))
    store.load("first", catalog.handle("first"))
    before = open_descriptors()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, hard))
    try:
        names = [str(number) for number in range(1500)]
        for number, name in enumerate(names):
            keep(catalog, store, name, np.full(9000, float(number)))
        assert [store.load(name, catalog.handle(name))[0] for name in names] == list(range(1500))
        assert open_descriptors() == before
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        catalog.close()


# -- under a runner


def make(number):
    return np.full(MB // 2, float(number))


def total(*values):
    return float(sum(value[-1] for value in values))


MANY = pipeline(
    [
        *(node(make, f"params:{at}", f"big{at}", name=f"make{at}") for at in range(12)),
        node(total, [f"big{at}" for at in range(12)], "total"),
    ]
)
GIVEN = {f"params:{at}": at for at in range(12)}


def test_a_run_of_more_values_than_memory_comes_to_its_end(tiny, tmp_path):
    options = {"directory": str(tiny), "spill": str(tmp_path)}
    with Runner("process_pool", workers=2, catalog_options=options) as runner:
        for _ in range(2):
            with runner.run(MANY, GIVEN) as result:
                assert result["total"] == sum(range(12))
    assert left_in(tmp_path) == left_in(tiny) == set()


RUN = """
import sys
from test_memory_limit import SPOILED, GIVEN
from kernel import run
run(SPOILED, GIVEN, executor="process_pool", workers=2, catalog_options={"memory_limit": "9MB", "spill": sys.argv[1]})
"""


def wait_for_ever(*values):
    print("holding", flush=True)
    signal.pause()


SPOILED = pipeline([*MANY.nodes, node(wait_for_ever, [f"big{at}" for at in range(12)], "never")])


def test_what_a_killed_run_spilled_is_swept_by_the_next_one_and_that_of_a_live_run_is_not(tmp_path):
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent,
        start_new_session=True,
    )
    try:
        assert process.stdout.readline().strip() == b"holding"
        assert on_disk(tmp_path) >= 12 * MB
        open_one(spill=tmp_path)[0].close()
        assert len(left_in(tmp_path)) == 1
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdout.read()
        process.stdout.close()
    assert len(left_in(tmp_path)) == 1
    open_one(spill=tmp_path)[0].close()
    assert left_in(tmp_path) == set()
