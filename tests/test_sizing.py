"""The rules by which the number of workers is worked out."""

from __future__ import annotations

import os
import sys
from itertools import combinations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kernel.sizing
import parallel_nodes as nodes
from kernel import Pipeline, node
from kernel.sizing import check_workers, pool_size, usable_cpus, useful_workers


@st.composite
def graphs(draw):
    """Draw a pipeline of up to seven nodes, each of which reads outputs of some before it."""
    count = draw(st.integers(1, 7))
    made = []
    for number in range(count):
        above = draw(st.sets(st.integers(0, number - 1), max_size=3)) if number else set()
        made.append(
            node(nodes.nothing, [f"d{each}" for each in sorted(above)] or None, f"d{number}", name=f"n{number}")
        )
    return Pipeline(made)


def width(pipeline):
    """Return how many nodes can run together at most: the largest set without a path between two of it."""
    plan = pipeline.plan
    below = [set() for _ in plan.nodes]
    for index in reversed(range(len(plan.nodes))):
        for child in plan.children[index]:
            below[index] |= {child} | below[child]
    every = range(len(plan.nodes))
    for size in range(len(plan.nodes), 1, -1):
        for chosen in combinations(every, size):
            if not any(b in below[a] for a, b in combinations(chosen, 2)):
                return size
    return 1


@given(graphs())
def test_there_are_never_more_nodes_at_once_than_useful_workers(pipeline):
    plan = pipeline.plan
    assert width(pipeline) <= useful_workers(pipeline) == len(plan.nodes) - plan.layers + 1


def test_an_empty_pipeline_can_use_no_worker():
    assert useful_workers(Pipeline([])) == 0


@pytest.mark.parametrize(
    ("useful", "asked", "cpus", "size"),
    [(3, 6, 4, 3), (3, None, 4, 3), (3, None, 2, 2), (3, 2, 1, 2), (0, None, 4, 1), (100, 80, 2, 80)],
)
def test_the_size_is_what_is_useful_up_to_what_was_asked_for_or_the_cpus(monkeypatch, useful, asked, cpus, size):
    monkeypatch.setattr(kernel.sizing, "usable_cpus", lambda: cpus)
    assert pool_size(useful, asked) == size


@pytest.mark.parametrize("asked", [None, 61, 62, 500])
def test_on_windows_there_are_never_more_than_61_workers(monkeypatch, asked):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(kernel.sizing, "usable_cpus", lambda: 128)
    assert pool_size(500, asked) == 61


@pytest.mark.parametrize("asked", [None, 1, 61, 10_000])
def test_positive_integers_and_none_are_good_numbers(asked):
    assert check_workers(asked) == asked


@pytest.mark.parametrize("asked", [0, -3, 2.0, "4", True, float("nan")])
def test_all_else_is_refused_with_the_value(asked):
    with pytest.raises(ValueError, match="positive integer") as caught:
        check_workers(asked)
    assert repr(asked) in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no affinity")
def test_only_cpus_that_this_process_may_use_are_counted(monkeypatch):
    monkeypatch.setattr(kernel.sizing, "_cgroup_quota", lambda: None)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5})
    assert usable_cpus() == 3


def test_without_affinity_all_cpus_are_counted_and_at_least_one(monkeypatch):
    monkeypatch.setattr(kernel.sizing, "_cgroup_quota", lambda: None)
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert usable_cpus() == 6
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cpus() == 1


@pytest.mark.parametrize(("quota", "cpus"), [(None, 8), (2.0, 2), (2.7, 2), (0.5, 1), (64.0, 8)])
def test_the_quota_of_a_container_caps_the_count_rounded_down(monkeypatch, quota, cpus):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    monkeypatch.setattr(kernel.sizing, "_cgroup_quota", lambda: quota)
    assert usable_cpus() == cpus


def control_group(root: Path, path: str, **files: str) -> None:
    folder = root / path
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)


def test_the_least_quota_on_the_way_up_counts(tmp_path):
    root, own = tmp_path / "cgroup", tmp_path / "own"
    control_group(root, "user/app", cpu__max="max 100000\n")
    control_group(root, "user", cpu__max="150000 100000\n")
    control_group(root, "", cpu__max="400000 100000\n")
    own.write_text("0::/user/app\n")
    assert kernel.sizing._cgroup_quota(root, own) == 1.5


def test_the_older_kind_of_control_groups_is_read_as_well(tmp_path):
    root, own = tmp_path / "cgroup", tmp_path / "own"
    control_group(root, "cpu/app", cpu__cfs_quota_us="300000\n", cpu__cfs_period_us="100000\n")
    control_group(root, "cpu", cpu__cfs_quota_us="-1\n", cpu__cfs_period_us="100000\n")
    own.write_text("4:memory:/app\n3:cpu,cpuacct:/app\n1:name=systemd:/app\n")
    assert kernel.sizing._cgroup_quota(root, own) == 3.0


@pytest.mark.parametrize("text", ["0::/nowhere\n", ""])
def test_a_group_that_cannot_be_seen_has_no_quota(tmp_path, text):
    own = tmp_path / "own"
    own.write_text(text)
    assert kernel.sizing._cgroup_quota(tmp_path / "cgroup", own) is None
    assert kernel.sizing._cgroup_quota(tmp_path / "cgroup", tmp_path / "not there") is None
