"""Machines that lack what others have: runs work all the same, or say in one error what is missing."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import numpy as np
import pytest

from kernel import node, pipeline, run
from kernel.serialise import dump, load_inline, prepare

METHODS = ["forkserver", "spawn", "fork"]
CODE = """
import sys
import numpy as np
from kernel import Runner, node, pipeline

def make(x):
    return np.full(100_000, float(x))

def total(*arrays):
    return float(sum(each.sum() for each in arrays))

def steps():
    makers = [node(make, "x", name, name=name) for name in "abcd"]
    return pipeline([*makers, node(total, list("abcd"), "sum"), node(total, "a", "of_a")])

def main(method):
    with Runner("process_pool", workers=2, start_method=method) as runner:
        for x in (1, 2):
            result = runner.run(steps(), {"x": x})
            assert (result["sum"], result["of_a"]) == (x * 400_000, x * 100_000)
"""


def run_there(method, before="", after="", command=(), **options):
    """Run the code in an interpreter of its own, `command` first and other code around it; return its end."""
    code = "\n".join([textwrap.dedent(before), CODE, f"main({method!r})", textwrap.dedent(after)])
    arguments = [*command, sys.executable, "-c", code]
    return subprocess.run(arguments, capture_output=True, text=True, timeout=90, check=False, cwd="/", **options)


def in_namespace(commands):
    """Make a command that changes what is mounted for itself and its children; skip the test where that is refused."""
    command = ["unshare", "--mount", "sh", "-c", f'{commands} && exec "$@"', "sh"]
    try:
        subprocess.run([*command, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this user may not change what is mounted")
    return command


def readonly(*folders):
    return " && ".join(f"mount --bind {each} {each} && mount -o remount,ro,bind {each}" for each in folders)


#: What is not there -> how it is taken away.
MISSING = {
    "nothing to write to": readonly("/tmp", "/var/tmp", "/dev/shm"),
    "no /dev/shm": "umount -l /dev/shm",
    "no /proc": "mount -t tmpfs none /proc",
    "processes of others hidden": "mount -o remount,hidepid=2 /proc",
}
#: The start method makes a difference where there is no /proc.
PAIRS = [*((missing, "forkserver") for missing in MISSING), ("no /proc", "spawn"), ("no /proc", "fork")]


@pytest.mark.parametrize(("missing", "method"), PAIRS, ids=": ".join)
def test_a_run_needs_no_folder_of_the_system(missing, method):
    done = run_there(method, command=in_namespace(MISSING[missing]))
    assert (done.returncode, done.stderr) == (0, "")


REFUSED = """
import os
import pickle

def refuse(*_):
    raise PermissionError(1, "Operation not permitted")

os.memfd_create = refuse
"""


def test_a_run_works_where_anonymous_files_in_memory_are_refused():
    done = run_there("forkserver", REFUSED)
    assert (done.returncode, done.stderr) == (0, "")


def test_where_no_small_file_can_be_made_at_all_one_error_says_so(tmp_path):
    folders = sorted({"/tmp", "/var/tmp", tempfile.gettempdir()})
    done = run_there("forkserver", REFUSED, command=in_namespace(readonly(*folders, "/dev/shm", "/")))
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert "Set TMPDIR to a folder that can be written to, or use the executor 'threads'" in last, done.stderr


@pytest.mark.parametrize(
    ("closed", "method"),
    [*(((fd,), "forkserver") for fd in range(3)), *((range(3), method) for method in METHODS)],
    ids=str,
)
def test_a_run_works_without_standard_streams(closed, method):
    redirected = " ".join(f"{fd}{'<' if fd == 0 else '>'}&-" for fd in closed)
    done = run_there(method, command=["sh", "-c", f'exec "$@" {redirected}', "sh"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("method", METHODS)
def test_a_run_works_with_streams_that_a_program_has_taken_away(method):
    done = run_there(method, "import sys\nsys.stdin = sys.stdout = sys.stderr = None\n")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("method", METHODS)
def test_a_run_works_beside_more_descriptors_than_select_takes(method):
    before = """
    import os, resource
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(1100)]
    """
    done = run_there(method, before)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_is_no_text_in_the_search_path_is_passed_over_as_python_does(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [Path(tmp_path), *sys.path, tmp_path / "more"])
    assert run(pipeline([node(abs, "x", "y")]), {"x": -3}, executor="process_pool", workers=1)["y"] == 3


class ListedCatalog:
    """Keeps values in files, and its handles are lists: any object that can be pickled may be one."""

    folder: str

    def __init__(self):
        self._handles = {}

    def validate_catalog(self, _names, values, _reach, readers):
        prepare(values, readers)

    def open(self, *_):
        return ListedStore(self.folder)

    def handle(self, name):
        return self._handles[name]

    def adopt(self, names, handles):
        self._handles.update(zip(names, handles, strict=True))

    def release(self, names):
        for name in names:
            self._handles.pop(name)

    def discard(self, handle):
        pass

    def worker_lost(self, worker):
        pass

    def settle(self, keep):
        pass

    def close(self):
        pass


class ListedStore:
    def __init__(self, folder):
        self._folder = folder

    def open(self, worker):
        pass

    def close(self):
        pass

    def load(self, name, handle, last=False):
        return load_inline(name, pickle.loads(Path(handle[0]).read_bytes()))

    def save(self, name, data):
        descriptor, path = tempfile.mkstemp(dir=self._folder)
        os.write(descriptor, pickle.dumps(dump(name, data).inline()))
        os.close(descriptor)
        return [path]

    def size(self, handle):
        return Path(handle[0]).stat().st_size

    def discard(self, handle):
        Path(handle[0]).unlink(missing_ok=True)


def test_handles_of_a_catalog_need_not_be_hashable(tmp_path):
    ListedCatalog.folder = str(tmp_path)

    def make(x):
        return np.full(300_000, float(x))

    def total(array):
        return float(array.sum())

    steps = [node(make, "x", "a"), *(node(total, "a", name, name=name) for name in ("b", "c", "d"))]
    result = run(pipeline(steps), {"x": 2}, executor="process_pool", workers=2, catalog=ListedCatalog)
    assert dict(result) == {"b": 600_000, "c": 600_000, "d": 600_000}
