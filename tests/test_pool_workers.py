"""What a worker of the pool is: a process of its own, with its own group, seed and standard input."""

from __future__ import annotations

import os
import sys

import numpy as np
import pytest

from kernel import Runner, node, pipeline, run


def draw(_: object) -> tuple[int, float]:
    return os.getpid(), float(np.random.random())  # noqa: NPY002 - the global generator is what is tested


def surroundings(_: object) -> dict[str, object]:
    return {"leads": os.getpgid(0) == os.getpid(), "input": sys.stdin.read(), "path": list(sys.path)}


def meet(folder: str) -> int:
    """Return this process's id once two workers have come here."""
    open(os.path.join(folder, str(os.getpid())), "w").close()  # noqa: PTH118, PTH123 - kept plain
    while len(os.listdir(folder)) < 2:  # noqa: PTH208
        os.sched_yield()
    return os.getpid()


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_draw_different_random_numbers(method, tmp_path):
    np.random.random()  # noqa: NPY002 - the runner has used it, so a fork has something to copy
    steps = pipeline(
        [
            *(node(meet, "folder", f"met{at}", name=f"meet{at}") for at in range(2)),
            *(node(draw, f"met{at}", f"drawn{at}", name=f"draw{at}") for at in range(2)),
            *(node(draw, f"met{at}", f"again{at}", name=f"again{at}") for at in range(2)),
        ]
    )
    with Runner("process_pool", workers=2, start_method=method) as runner:
        drawn = list(dict(runner.run(steps, {"folder": str(tmp_path)})).values())
    assert len({number for _, number in drawn}) == len(drawn)


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_a_worker_leads_a_group_of_its_own_and_finds_what_the_runner_finds(method):
    steps = pipeline([node(surroundings, "x", "found")])
    with Runner("process_pool", workers=1, start_method=method) as runner:
        found = runner.run(steps, {"x": 0})["found"]
    assert found["leads"]
    assert found["path"] == sys.path


def wraps_itself(value):
    return value


wraps_itself.__wrapped__ = wraps_itself


class AnswersToAnyName:
    __name__ = "answers"

    def __getattr__(self, name):
        if name.startswith(("__reduce", "__getstate", "__setstate")):
            raise AttributeError(name)
        return self

    def __call__(self, value):
        return value


@pytest.mark.timeout(60)
@pytest.mark.parametrize("function", [wraps_itself, AnswersToAnyName()], ids=["loop", "any name"])
def test_a_function_that_says_odd_things_of_what_it_wraps_runs(function):
    assert run(pipeline([node(function, "x", "y", name="n")]), {"x": 1}, executor="process_pool")["y"] == 1
