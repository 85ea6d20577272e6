"""Helpers that nodes leave in the background are collected when they end; children that a node made stay its own."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import subprocess
from pathlib import Path

import pytest

from kernel import Runner, node, pipeline
from watching import wait_until

METHODS = ["forkserver", "spawn", "fork"]
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


@pytest.fixture(params=METHODS)
def ask(request):
    """Call functions in the one worker of a warm pool, each in a run of its own."""
    with Runner("process_pool", workers=1, start_method=request.param) as runner:
        yield lambda function: runner.run(pipeline([node(function, "x", "y")]), {"x": 0})["y"]


def leave_helpers(_):
    subprocess.run("true & true & sleep 0 &", shell=True, check=True)
    return os.getpid()


def zombies(_):
    found = []
    for thread in Path("/proc/self/task").iterdir():
        for child in (thread / "children").read_text().split():
            if Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                found.append(int(child))
    return found


def test_helpers_in_the_background_are_collected(ask):
    workers = {ask(leave_helpers) for _ in range(20)}
    assert len(workers) == 1
    wait_until(lambda: ask(zombies) == [], "the helpers to be collected")


#: What a node made, by the way it was made, for a node of a later run.
made = {}


def make_children(_):
    subprocess.run("true &", shell=True, check=True)  # something to collect beside them
    made["fork"] = os.fork() or os._exit(5)
    made["Popen"] = subprocess.Popen(["sh", "-c", "exit 6"])
    for at, method in enumerate(("fork", "spawn"), 7):
        made[method + " process"] = multiprocessing.get_context(method).Process(target=os._exit, args=(at,))
        made[method + " process"].start()
    return os.getpid()


def ended(_):
    """Say whether all have ended, and leave it at that: nothing is collected here."""
    processes = [each for each in made.values() if isinstance(each, multiprocessing.process.BaseProcess)]
    if len(multiprocessing.connection.wait([each.sentinel for each in processes], 0)) < len(processes):
        return False
    pids = made["fork"], made["Popen"].pid
    return all(os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None for pid in pids)


def exit_codes(_):
    for each in made.values():
        if hasattr(each, "join"):
            each.join()
    return [
        os.waitstatus_to_exitcode(os.waitpid(made["fork"], 0)[1]),
        made["Popen"].wait(),
        made["fork process"].exitcode,
        made["spawn process"].exitcode,
    ]


def test_children_that_a_node_made_keep_their_exit_codes_for_it(ask):
    ask(make_children)
    wait_until(lambda: ask(ended), "the children to end")
    for _ in range(5):
        ask(zombies)
    assert ask(exit_codes) == [5, 6, 7, 8]
    wait_until(lambda: ask(zombies) == [], "the helper to be collected")
