"""Workers killed at random moments, again and again: every value comes out right, and every node has its report."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
from functools import partial

import pytest

import fault_nodes as nodes
from kernel import Runner, hookimpl, node, pipeline
from kernel.specs.events import State
from parallel_nodes import children

pytestmark = pytest.mark.timeout(120)

SEEDS = 50
SIZE = 200


def random_sums(chance):
    """Return 200 sums, in no order, each of up to three earlier values, and what they come to."""
    values, steps = {"x": 1, "y": 1}, [node(nodes.same, "x", "y", name="same")]
    for at in range(SIZE):
        inputs = chance.sample(sorted(values), min(len(values), chance.randrange(1, 4)))
        seconds = chance.choice([0.0, 0.0, 0.001, 0.003])
        steps.append(node(partial(nodes.slow_sum, at, seconds), inputs, f"v{at}", name=f"n{at}"))
        values[f"v{at}"] = nodes.slow_sum(at, 0, *(values[name] for name in inputs))
    chance.shuffle(steps)
    return pipeline(steps), values


class Killer:
    """A thread that kills random workers of this process's pool, for as long as it is open.

    It strikes at a random moment after a random number of nodes has ended since it last did: by the clock alone, on a
    busy machine, it would kill workers faster than they can be made, and a run that gets nowhere is not the question.
    """

    def __init__(self):
        self.ended = self.killed = 0

    @hookimpl
    def on_task_done(self):
        self.ended += 1

    def follow(self, seed):
        self.chance, self.over = random.Random(seed), threading.Event()
        self.thread = threading.Thread(target=self.kill)
        self.thread.start()
        return self

    def kill(self):
        while not self.over.is_set():
            after = self.ended + self.chance.randrange(1, 30)
            while self.ended < after and not self.over.wait(0.0005):
                pass
            if self.over.wait(self.chance.uniform(0.0, 0.004)):
                return
            workers = [worker for server in children() for worker in children(server)]
            with contextlib.suppress(IndexError, ProcessLookupError):  # there is none just now, or no longer
                os.kill(self.chance.choice(workers), signal.SIGKILL)
                self.killed += 1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.over.set()
        self.thread.join()


def test_two_hundred_nodes_come_out_right_however_often_workers_are_killed():
    killer = Killer()
    with Runner("process_pool", workers=2, death_retries=100, hooks=[killer]) as runner:
        for seed in range(SEEDS):
            steps, values = random_sums(random.Random(seed))
            with killer.follow(seed), runner.run(steps, {"x": 1}) as result:
                assert dict(result) == {name: values[name] for name in result}, f"seed {seed}"
                done = [each.node for each in result.report.tasks if each.state == State.DONE]
            assert sorted(done) == sorted(step.name for step in steps.nodes), f"seed {seed}"
    assert killer.killed > SEEDS
