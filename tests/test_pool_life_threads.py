"""Libraries in workers do not use more threads together than there are CPUs, unless somebody wants them to."""

from __future__ import annotations

import os

import pytest

import pool_life
from kernel import Runner, node, pipeline
from kernel.sizing import usable_cpus

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")


def blas_threads(*_):
    """Tell how many threads each library that is loaded here would use."""
    import numpy  # noqa: F401, ICN001 - it brings a BLAS

    from kernel_process_pool.threads import _loaded_objects

    return [library.get() for library in _loaded_objects() if "openblas" in library.name]


def most(threads):
    """Return how many of so many threads a BLAS makes: no more than it sees CPUs."""
    return min(threads, len(os.sched_getaffinity(0)))


def arrow_threads(*_):
    import pyarrow as pa

    return pa.cpu_count()


@pytest.fixture(autouse=True)
def no_variables_of_the_users(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def looks(**options):
    steps = pipeline(
        [
            node(pool_life.environment, "x", "environment"),
            node(blas_threads, "x", "blas"),
            node(arrow_threads, "x", "arrow"),
        ]
    )
    with Runner("process_pool", executor_options=options, workers=2) as runner:
        return dict(runner.run(steps, {"x": 0}))


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_share_out_the_cpus(method):
    import numpy  # noqa: F401, ICN001 - a fork has it then, with as many threads as CPUs
    import pyarrow  # noqa: F401, ICN001 - as above

    share = max(1, usable_cpus() // 2)
    seen = looks(start_method=method)
    assert {seen["environment"][name] for name in VARIABLES} == {str(share)}
    assert set(seen["blas"]) == {share}
    assert seen["arrow"] == share
    assert not set(VARIABLES) & set(os.environ)


def test_an_option_says_how_many_threads_there_are():
    seen = looks(threads_per_worker=3)
    assert {seen["environment"][name] for name in VARIABLES} == {"3"}
    assert (set(seen["blas"]), seen["arrow"]) == ({most(3)}, 3)


def test_with_0_threads_all_is_left_alone():
    assert not set(VARIABLES) & set(looks(threads_per_worker=0)["environment"])


def test_what_the_user_has_set_wins_and_rules_those_that_follow_it(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    seen = looks(threads_per_worker=1)
    assert seen["environment"]["OMP_NUM_THREADS"] == "5"
    assert "OPENBLAS_NUM_THREADS" not in seen["environment"]
    assert seen["environment"]["POLARS_MAX_THREADS"] == "1"
    assert (set(seen["blas"]), seen["arrow"]) == ({most(5)}, 5)


def test_a_warm_runner_shares_out_the_cpus_anew_for_each_run(monkeypatch):
    monkeypatch.setattr("kernel_process_pool.threads.usable_cpus", lambda: 8)
    wide = pipeline([node(arrow_threads, "x", name, name=name) for name in ("a", "b")])
    narrow = pipeline([node(arrow_threads, "x", "a"), node(arrow_threads, "a", "b")])
    with Runner("process_pool", workers=2) as runner:
        assert set(dict(runner.run(wide, {"x": 0})).values()) == {4}
        assert set(dict(runner.run(narrow, {"x": 0})).values()) == {8}
        assert set(dict(runner.run(wide, {"x": 0})).values()) == {4}
