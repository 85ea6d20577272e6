"""A save is whole or not at all, whatever happens to it half-way."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kernel.datasets import Version
from kernel.errors import DatasetError
from kernel_files import local
from kernel_files.csv_ import CSVDataset
from kernel_files.excel import ExcelDataset
from kernel_files.json_ import JSONDataset
from kernel_files.local import LocalFiles
from kernel_files.numpy_ import NumPyDataset
from kernel_files.parquet import ParquetDataset
from kernel_files.pickle_ import PickleDataset
from kernel_files.text import TextDataset
from kernel_files.yaml_ import YAMLDataset

OLD, NEW = "old" * 1000, "new" * 50_000


def names_in(folder):
    return [path.name for path in folder.iterdir()]


class Failing:
    """A file whose Nth write fails after half of its bytes."""

    def __init__(self, file, fails_at):
        self.file, self.left = file, fails_at

    def write(self, data):
        self.left -= 1
        if self.left == 0:
            self.file.write(memoryview(data).cast("B")[: memoryview(data).nbytes // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return self.file.write(data)

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __iter__(self):
        return iter(self.file)


def failing(kind, fails_at):
    class FailingDataset(kind):
        def write(self, data, file):
            self.file = Failing(file, fails_at)
            super().write(data, self.file)

    return FailingDataset


class ByLine(TextDataset):
    """Writes in many small pieces."""

    def write(self, data, file):
        for start in range(0, len(data), 10_000):
            file.write(data[start : start + 10_000].encode())


FRAMES = pd.DataFrame({"a": range(5000)}), pd.DataFrame({"a": range(20_000, 40_000)})
EACH = [
    (ByLine, OLD, NEW),
    (PickleDataset, [OLD], [NEW, *range(100_000)]),
    (JSONDataset, [OLD], [NEW]),
    (YAMLDataset, {"a": OLD}, {"a": list(range(20))}),
    (CSVDataset, *FRAMES),
    (ParquetDataset, *FRAMES),
    (ExcelDataset, FRAMES[0].head(5), FRAMES[1].head(50)),
    (NumPyDataset, np.arange(10), np.arange(10_000)),
    (NumPyDataset, np.arange(10), {"a": np.arange(10_000), "b": np.arange(10)}),
]


@pytest.mark.parametrize("place", ["here", "memory"])
@pytest.mark.parametrize(("kind", "old", "new"), EACH, ids=[case[0].__name__ for case in EACH])
def test_a_save_that_fails_at_any_of_its_writes_leaves_the_old_file(tmp_path, kind, old, new, place):
    path = tmp_path / "x" if place == "here" else f"memory://failing-{kind.__name__}/x"
    whole = kind(path)
    whole.save(old)
    before = read(whole)
    for fails_at in range(1, 10_000):
        dataset = failing(kind, fails_at)(path)
        try:
            dataset.save(new)
        except (OSError, ValueError):
            assert read(whole) == before
            assert len(whole._files().children(str(path).removesuffix("/x"))) == 1
        else:
            break
    assert dataset.file.left > 0
    assert fails_at > 1
    assert read(whole) != before


def read(dataset):
    with dataset._files().reading(dataset.filepath) as file:
        return file.read()


@pytest.mark.parametrize(("owner", "call"), [(os, "fsync"), (Path, "replace"), (os, "fchmod"), (local.locks, "hold")])
def test_a_save_that_fails_at_any_of_its_steps_leaves_the_old_file(tmp_path, monkeypatch, owner, call):
    dataset = TextDataset(tmp_path / "x")
    dataset.save(OLD)

    def broken(*args, **kwargs):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(owner, call, broken)
        with pytest.raises(OSError, match=r"Input/output error"):
            dataset.save(NEW)
    assert dataset.load() == OLD
    assert names_in(tmp_path) == ["x"]


def test_a_save_that_raises_half_way_leaves_nothing_where_nothing_was(tmp_path):
    class Stopped(TextDataset):
        def write(self, data, file):
            file.write(data[:10].encode())
            raise KeyboardInterrupt

    for version in (None, Version(None, "v1")):
        dataset = Stopped(tmp_path / "x", version=version)
        with pytest.raises(KeyboardInterrupt):
            dataset.save(NEW)
        assert not dataset.exists()
        assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_cannot_be_serialised_leaves_the_old_file(tmp_path):
    dataset = JSONDataset(tmp_path / "x")
    dataset.save(OLD)
    with pytest.raises(TypeError):
        dataset.save({"a": object()})
    pickled = PickleDataset(tmp_path / "y")
    pickled.save(OLD)
    with pytest.raises(TypeError):
        pickled.save([NEW, threading.Lock()])
    assert (dataset.load(), pickled.load()) == (OLD, OLD)
    assert sorted(names_in(tmp_path)) == ["x", "y"]


BLOCKED = """
import sys
from kernel_files.text import TextDataset
class Blocked(TextDataset):
    def write(self, data, file):
        file.write(data[: len(data) // 2].encode())
        file.flush()
        print("half", flush=True)
        sys.stdin.read()
        file.write(data[len(data) // 2 :].encode())
Blocked(sys.argv[1]).save("new" * 50_000)
"""


@contextmanager
def saver(path):
    """A process that has written half of its file and waits."""
    child = subprocess.Popen(
        [sys.executable, "-c", BLOCKED, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert child.stdout.readline() == "half\n"
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def test_a_killed_save_leaves_the_old_file_and_the_next_save_sweeps(tmp_path):
    dataset = TextDataset(tmp_path / "x")
    with LocalFiles().writing(dataset.filepath, new=False) as file:
        file.write(OLD.encode())
    with saver(tmp_path / "x") as child:
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL
    assert dataset.load() == OLD
    (debris,) = set(names_in(tmp_path)) - {"x"}
    assert debris.startswith(".x.")
    assert debris.endswith(".kernel-partial")
    dataset.save(NEW)
    assert names_in(tmp_path) == ["x"]


def test_a_save_in_progress_is_not_swept(tmp_path):
    dataset = TextDataset(tmp_path / "x")
    with saver(tmp_path / "x") as child:
        dataset.save(OLD)
        assert len(names_in(tmp_path)) == 2
        child.stdin.close()
        assert child.wait(60) == 0
    assert dataset.load() == NEW
    assert names_in(tmp_path) == ["x"]


def test_where_no_lock_can_tell_debris_is_swept_after_a_day(tmp_path, monkeypatch):
    monkeypatch.setattr(local.locks, "is_held", lambda descriptor: None)
    young, old = tmp_path / ".x.1.kernel-partial", tmp_path / ".x.2.kernel-partial"
    for path in (young, old):
        path.write_text("half")
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    TextDataset(tmp_path / "x").save(NEW)
    assert sorted(names_in(tmp_path)) == [young.name, "x"]


def test_other_hidden_files_are_not_swept(tmp_path):
    (tmp_path / ".x.tmp").write_text("mine")
    (tmp_path / "x.kernel-partial").write_text("mine")
    TextDataset(tmp_path / "x").save(NEW)
    assert len(names_in(tmp_path)) == 3


REPEATED = """
import sys
from kernel_files.text import TextDataset
path, letter = sys.argv[1:]
for length in range(1, 60):
    TextDataset(path).save(letter * length * 10_000)
"""


def test_while_two_processes_save_a_reader_always_sees_one_whole_file(tmp_path):
    path = tmp_path / "x"
    TextDataset(path).save("a")
    savers = [subprocess.Popen([sys.executable, "-c", REPEATED, path, letter]) for letter in "ab"]
    seen = set()
    try:
        while any(child.poll() is None for child in savers):
            text = TextDataset(path).load()
            assert text == text[0] * len(text)
            assert len(text) == 1 or len(text) % 10_000 == 0
            seen.add((text[0], len(text)))
    finally:
        for child in savers:
            child.kill()
            child.wait()
    assert [child.returncode for child in savers] == [0, 0]
    assert len(seen) > 1
    assert names_in(tmp_path) == ["x"]


def test_of_two_savers_of_one_version_only_one_succeeds(tmp_path):
    refused = pytest.raises(DatasetError, match=r"version 'v1' is in .* already")
    with saver_of_version(tmp_path / "x", "v1"), refused:
        TextDataset(tmp_path / "x", version=Version(None, "v1")).save("late")
    assert TextDataset(tmp_path / "x", version=Version()).load() == "first"


@contextmanager
def saver_of_version(path, version):
    """Let another save of the version end while ours is being written."""
    write = TextDataset.write

    def late(self, data, file):
        TextDataset.write = write
        TextDataset(path, version=Version(None, version)).save("first")
        write(self, data, file)

    TextDataset.write = late
    try:
        yield
    finally:
        TextDataset.write = write


def test_a_file_system_without_links_still_saves_a_version_once(tmp_path, monkeypatch):
    def unsupported(*args):
        raise OSError(errno.ENOTSUP, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", unsupported)
    dataset = TextDataset(tmp_path / "x", version=Version(None, "v1"))
    dataset.save("first")
    with pytest.raises(DatasetError, match=r"version 'v1' is in .* already"):
        dataset.save("second")
    assert dataset.load() == "first"


LIMITED = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
from kernel_files.text import TextDataset
try:
    TextDataset(sys.argv[1]).save("new" * 50_000)
except OSError as error:
    print(error.errno)
"""


@pytest.mark.parametrize("limit", [0, 1, 8192, 149_999])
def test_a_real_write_error_leaves_the_old_file(tmp_path, limit):
    dataset = TextDataset(tmp_path / "x")
    dataset.save(OLD)
    command = [sys.executable, "-B", "-c", LIMITED, tmp_path / "x", str(limit)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{errno.EFBIG}\n"
    assert dataset.load() == OLD
    assert names_in(tmp_path) == ["x"]
