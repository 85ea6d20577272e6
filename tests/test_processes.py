"""Who made something, and who is gone: said on proof only."""

from __future__ import annotations

import os
import resource
import signal
from contextlib import contextmanager, suppress

import pytest

from family import WAYS, Child, by_python
from kernel import Runner, node, pipeline, processes
from kernel.processes import Home, is_gone, started

KEPT = {}


@contextmanager
def short_of_descriptors():
    """Open files until no more can be had."""
    limits, files = resource.getrlimit(resource.RLIMIT_NOFILE), []
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(256, limits[0]), limits[1]))
    try:
        with suppress(OSError):
            while len(files) < 256:
                files.append(os.open(os.devnull, os.O_RDONLY))
        assert len(files) < 256
        yield
    finally:
        for each in files:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.fixture
def living():
    child = Child(os.getpid)
    yield child.pid
    child.end()


def no_descriptors(pid):
    raise OSError(38, "Function not implemented")


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("depth", [1, 2])
def test_home_is_where_it_was_made_and_in_no_child(way, depth):
    home = Home()
    child = Child(lambda: (home.is_here, Home().is_here), WAYS[way], depth)
    assert child() == (False, True)
    assert home.is_here
    child.end()


def test_a_child_that_got_the_pid_of_its_ancestor_is_not_its_ancestor(monkeypatch):
    home, pid = Home(), os.getpid()

    def look():
        monkeypatch.setattr(os, "getpid", lambda: pid)
        return home.is_here

    child = Child(look)
    assert not child()
    child.end()


@pytest.mark.parametrize("with_descriptors", [True, False])
def test_a_process_lives_until_it_has_ended_collected_or_not(with_descriptors, monkeypatch):
    if not with_descriptors:
        monkeypatch.setattr(os, "pidfd_open", no_descriptors, raising=False)
    child = by_python()
    if not child:
        signal.pause()
    assert not is_gone(child)
    os.kill(child, signal.SIGKILL)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert is_gone(child)
    os.waitpid(child, 0)
    assert is_gone(child)


def test_short_of_descriptors_a_process_lives(living):
    with short_of_descriptors():
        assert not is_gone(living)
        assert not is_gone(living, since=1)
        assert not is_gone(os.getpid())
    assert not is_gone(living)


def test_short_of_descriptors_one_that_is_not_there_is_gone(living):
    ended = by_python()
    if not ended:
        os._exit(0)
    os.waitpid(ended, 0)
    with short_of_descriptors():
        assert is_gone(ended)


def test_where_the_system_tells_nothing_a_process_lives(living, monkeypatch):
    monkeypatch.setattr(os, "pidfd_open", no_descriptors, raising=False)
    monkeypatch.setattr(processes, "_look_up", lambda _pid: (False, 0))
    assert not is_gone(living, since=1)


def test_another_process_of_the_same_pid_is_not_the_one_that_was_meant(living):
    since = started(living)
    if not since:
        pytest.skip("this system does not say when a process started")
    assert not is_gone(living, since)
    assert is_gone(living, since - 1)


def keep(table):
    KEPT["table"] = table
    return 0


def look(_n):
    table = KEPT["table"]
    return float(table.min()), float(table.max())


def ones(n):
    import numpy as np

    return np.full(200_000, float(n))


def test_what_a_worker_holds_stays_when_the_runner_is_short_of_descriptors_at_the_end_of_a_run():
    keeping = pipeline([node(ones, "n", "x", name="make"), node(keep, "x", "y", retries=1)])
    looking = pipeline([node(look, "n", "seen")])
    making = pipeline([*[node(ones, "n", f"x{at}", name=f"make-{at}") for at in range(6)], node(look, "n", "seen")])
    with Runner("process_pool", workers=1) as runner:
        runner.run(keeping, {"n": 1}).close()
        with short_of_descriptors():
            assert runner.run(looking, {"n": 0})["seen"] == (1, 1)
        for n in (2, 3):
            runner.run(making, {"n": n}).close()
            assert runner.run(looking, {"n": 0})["seen"] == (1, 1)
