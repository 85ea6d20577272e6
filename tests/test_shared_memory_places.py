"""Where shared memory lives: nothing is left by dead runs, and a full file system is a clear error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

from kernel.errors import ConfigError, DatasetError
from kernel.specs.executor import Reach
from kernel_shared_memory import SharedMemoryCatalog, directory, memfd, place
from watching import mounted, shared_memory, wait_until

MB = 1 << 20

RUNNER = """
import os, subprocess, sys, pickle, time
import numpy as np
from kernel.specs.executor import Reach
from kernel_shared_memory import SharedMemoryCatalog

catalog = SharedMemoryCatalog(**eval(sys.argv[1]))
store = catalog.open({}, Reach.PROCESS, 1)
catalog.adopt(["x"], [store.save("x", np.ones(1 << 20))])
worker = '''
import pickle, sys, time
store, handle = pickle.load(sys.stdin.buffer)
store.open(0)
value = store.load("x", handle)
own = store.save("y", value + 1)
print(int(value.sum()), flush=True)
time.sleep(600)
'''
process = subprocess.Popen([sys.executable, "-c", worker], stdin=subprocess.PIPE)
pickle.dump((store, catalog.handle("x")), process.stdin)
process.stdin.close()
time.sleep(600)
"""


def start_run(options):
    """Start a run with a worker of its own, in a process group of its own; return it when both hold large values."""
    run = subprocess.Popen(
        [sys.executable, "-c", RUNNER, repr(options)], stdout=subprocess.PIPE, start_new_session=True
    )
    assert run.stdout.readline().strip() == str(MB).encode()
    return run


def kill_run(run):
    os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    run.stdout.read()  # until the worker has ended, too
    run.stdout.close()


def left_in(folder):
    return {entry.name for entry in Path(folder).glob(f"kernel-{os.getuid()}-*")}


def open_one(**options):
    catalog = SharedMemoryCatalog(**options)
    return catalog, catalog.open({}, Reach.PROCESS, 1)


@pytest.mark.skipif(not memfd.is_usable(), reason="there are no anonymous memory files on this system")
def test_anonymous_memory_leaves_nothing_when_every_process_is_killed():
    before = shared_memory()
    kill_run(start_run({"place": "memfd"}))
    wait_until(lambda: not shared_memory() - before, "no directory of shared memory")


def test_the_directory_of_a_killed_run_is_swept_by_the_next_and_that_of_a_live_run_is_not(tmp_path):
    dead, live = start_run({"directory": str(tmp_path)}), start_run({"directory": str(tmp_path)})
    both = left_in(tmp_path)
    assert len(both) == 2
    try:
        kill_run(dead)
        assert left_in(tmp_path) == both
        catalog, _ = open_one(directory=tmp_path)
        assert len(left_in(tmp_path) & both) == 1
        assert len(left_in(tmp_path)) == 2
        catalog.close()
        assert len(left_in(tmp_path)) == 1
    finally:
        kill_run(live)
    open_one(directory=tmp_path)[0].close()
    assert left_in(tmp_path) == set()


def test_a_directory_that_is_being_made_is_spared_and_an_old_one_without_owner_is_swept(tmp_path):
    young, old, link = (tmp_path / f"kernel-{os.getuid()}-{name}" for name in ("young", "old", "link"))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    young.mkdir()
    old.mkdir()
    link.symlink_to(elsewhere)
    past = time.time() - 2 * 3600
    os.utime(old, (past, past))
    os.utime(elsewhere, (past, past))
    open_one(directory=tmp_path)[0].close()
    assert left_in(tmp_path) == {young.name, link.name}
    assert (elsewhere / "file").exists()


def test_no_other_user_can_read_the_directory(tmp_path):
    catalog, store = open_one(directory=tmp_path)
    store.save("x", np.ones(MB))
    (path,) = tmp_path.iterdir()
    assert path.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in path.iterdir()} == {0o600}
    catalog.close()


@pytest.mark.parametrize("options", ["{}", "dict(place='directory')"])
def test_a_run_that_ends_without_closing_leaves_nothing(options, tmp_path):
    script = textwrap.dedent(
        f"""
        import numpy as np, tempfile
        from kernel.specs.executor import Reach
        from kernel_shared_memory import SharedMemoryCatalog, directory
        from pathlib import Path
        directory.default_folder = lambda: Path({str(tmp_path)!r})
        catalog = SharedMemoryCatalog(**{options})
        store = catalog.open({{}}, Reach.PROCESS, 1)
        value = store.load("x", store.save("x", np.ones(1 << 20)))
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert left_in(tmp_path) == set()


@pytest.fixture
def tiny(tmp_path):
    """Mount a file system of 4 MiB, which only root may do."""
    path = tmp_path / "tiny"
    if not mounted(path, 4):
        pytest.skip("mounting a small file system is not permitted")
    yield path
    if subprocess.run(["umount", path], capture_output=True, check=False).returncode:
        subprocess.run(["umount", "--lazy", path], check=True)
        pytest.fail("the file system was still in use after the catalog was closed")


def test_a_full_file_system_is_an_error_that_names_the_dataset_and_the_run_can_go_on(tiny):
    catalog, store = open_one(directory=tiny, spill=tiny)
    catalog.adopt(["a"], [store.save("a", np.ones(MB // 8))])
    before = catalog.memory_in_use()
    for _ in range(3):
        with pytest.raises(DatasetError, match=r"big: no room for its 8,39\d,\d+ bytes .*: No space left on device"):
            store.save("big", np.ones(MB))
    assert catalog.memory_in_use() == before
    catalog.adopt(["b"], [store.save("b", np.full(MB // 8, 2.0))])
    assert store.load("a", catalog.handle("a")).sum() == MB // 8
    assert store.load("b", catalog.handle("b")).sum() == MB // 4
    catalog.release(["a"])
    store.save("c", np.full(MB // 8, 3.0))
    catalog.close()


def test_a_file_system_too_full_to_start_on_is_a_clear_error(tiny):
    (tiny / "filler").write_bytes(bytes(4 * MB))
    with pytest.raises(ConfigError, match=r"cannot be set up for 1 workers in .*No space left"):
        open_one(directory=tiny)
    assert left_in(tiny) == set()


def test_a_limit_on_file_sizes_is_an_error_that_names_the_dataset(tmp_path):
    script = textwrap.dedent(
        """
        import resource, sys
        import numpy as np
        from kernel.errors import DatasetError
        from kernel.specs.executor import Reach
        from kernel_shared_memory import SharedMemoryCatalog
        resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 20, resource.RLIM_INFINITY))
        catalog = SharedMemoryCatalog(**eval(sys.argv[1]))
        store = catalog.open({}, Reach.PROCESS, 1)
        small = store.save("small", np.ones(1 << 17))
        try:
            store.save("big", np.ones(1 << 20))
        except DatasetError as error:
            print(error)
        assert store.load("small", small).sum() == 1 << 17
        catalog.close()
        """
    )
    for options in ({}, {"directory": str(tmp_path)}):
        done = subprocess.run(
            [sys.executable, "-c", script, repr(options)], capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        assert done.stdout.startswith("big: no room for its 8,39")


def test_a_limit_on_address_space_costs_the_kept_mapping_only():
    script = textwrap.dedent(
        """
        import resource
        import numpy as np
        from kernel.specs.executor import Reach
        from kernel_shared_memory import SharedMemoryCatalog
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, resource.RLIM_INFINITY))
        catalog = SharedMemoryCatalog()
        store = catalog.open({}, Reach.PROCESS, 1)
        for n in range(3):
            handle = store.save("x", np.full(1 << 17, n))
            assert (store.load("x", handle) == n).all()
            catalog.adopt(["x"], [handle])
            catalog.release(["x"])
        print(catalog.memory_in_use() < 2 << 20)
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("True\n", "")


def test_a_directory_serves_where_anonymous_memory_does_not_work(monkeypatch, tmp_path):
    monkeypatch.setattr(memfd, "is_usable", lambda: False)
    monkeypatch.setattr(directory, "default_folder", lambda: tmp_path)
    chosen = place.choose(None, None)
    assert chosen.describe() == str(tmp_path)
    chosen.close()
    with pytest.raises(ConfigError, match="take 'directory'"):
        place.choose("memfd", None)


def test_a_folder_that_is_not_there_is_a_clear_error(tmp_path):
    with pytest.raises(ConfigError, match=r"shared_memory: .*missing"):
        open_one(directory=tmp_path / "missing")


def test_a_process_that_hides_its_descriptors_does_not_use_anonymous_memory():
    script = textwrap.dedent(
        """
        import ctypes
        from kernel_shared_memory import memfd
        print(memfd.is_usable())
        ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
        print(memfd.is_usable())
        """
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True", "False"]
