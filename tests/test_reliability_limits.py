"""What a run does with little room: small shared memory, few descriptors, huge values and names, run after run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

import fault_nodes as nodes
from kernel import Runner, node, pipeline

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="limits and file systems of Linux"),
]

#: What every script begins with: functions that workers import, and values that do not fit into a message.
HEAD = f"""
import os, resource, sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
import fault_nodes as nodes
from kernel import Runner, node, pipeline
from kernel.errors import NodeError, WorkerLost
from watching import descendants

def text_of(error):
    return f"{{type(error).__name__}} {{error}}"
"""


def run_script(text, command=(), **options):
    """Run a script in a process of its own; return what it prints."""
    done = subprocess.run(
        [*command, sys.executable, "-c", HEAD + dedent(text)],
        capture_output=True,
        text=True,
        check=False,
        **options,
    )
    assert (done.returncode, done.stderr) == (0, ""), f"{done.returncode}: {done.stdout}{done.stderr}"
    return done.stdout


# -- shared memory ----------------------------------------------------------------------------------------------------

MOUNT = 'mount -t tmpfs -o size=8m tmpfs /dev/shm && exec "$0" "$@"'
VALUES = """
steps = pipeline([
    *(node(nodes.megabytes, "size", f"v{at}", name=f"make{at}") for at in range(12)),
    *(node(len, f"v{at}", f"n{at}", name=f"read{at}") for at in range(0, 12, 2)),
])
"""


@pytest.fixture(scope="module")
def tiny():
    """Return a command before which /dev/shm has 8 MB: in a mount namespace of its own."""
    for command in (["unshare", "-Urm"], ["unshare", "-m"], ["sudo", "-n", "unshare", "-m"]):
        whole = [*command, "sh", "-c", MOUNT]
        looked = subprocess.run([*whole, "df", "-k", "/dev/shm"], capture_output=True, text=True, check=False)
        if looked.returncode == 0 and " 8192 " in looked.stdout:
            return whole
    pytest.fail(f"no small /dev/shm can be made here, so this promise cannot be tested: {looked.stderr}")


def test_values_that_exceed_a_small_dev_shm_are_survived(tiny):
    """Anonymous memory, the default, is not counted there: 48 MB pass through a /dev/shm of 8."""
    printed = run_script(
        VALUES
        + """
result = Runner("process_pool", workers=2).run(steps, {"size": 4})
print(sum(len(result[f"v{at}"]) for at in range(1, 12, 2)), sum(result[f"n{at}"] for at in range(0, 12, 2)))
""",
        tiny,
    )
    assert printed.split() == [str(6 * 4 << 20)] * 2


def test_what_does_not_fit_into_a_small_dev_shm_goes_to_the_folder_for_temporary_files(tiny, tmp_path):
    printed = run_script(
        VALUES
        + """
result = Runner("process_pool", workers=2, catalog_options={"place": "directory"}).run(steps, {"size": 4})
print(sum(len(result[f"v{at}"]) for at in range(1, 12, 2)), sum(result[f"n{at}"] for at in range(0, 12, 2)))
result.close()
print(os.listdir("/dev/shm"), os.listdir(os.environ["TMPDIR"]))
""",
        tiny,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    assert printed.split() == [*[str(6 * 4 << 20)] * 2, "[]", "[]"]


def test_where_no_folder_has_room_an_error_names_node_and_dataset_and_no_signal_comes(tiny):
    printed = run_script(
        VALUES
        + """
os.mkdir("/dev/shm/spill")
options = {"place": "directory", "spill": "/dev/shm/spill"}
with Runner("process_pool", workers=2, catalog_options=options) as runner:
    for attempt in range(2):
        try:
            runner.run(steps, {"size": 4})
        except NodeError as error:
            print(type(error).__name__, error)
    print(runner.run(pipeline([node(nodes.add_one, "x", "y")]), {"x": 1})["y"])
print(os.listdir("/dev/shm"), os.listdir("/dev/shm/spill"))
""",
        tiny,
    )
    first, second, after, left = printed.splitlines()
    for line in (first, second):
        assert line.startswith("NodeError node 'make")
        assert ": v" in line
        assert "no room for its 4,19" in line
        assert "No space left on device" in line
    assert (after, left) == ("2", "['spill'] []")


# -- descriptors, and what grows from run to run ----------------------------------------------------------------------


@pytest.mark.parametrize(("count", "size"), [(300, 200_000), (3000, 66_000)])
def test_with_128_descriptors_as_many_datasets_as_one_likes_can_be_alive(count, size):
    printed = run_script(
        f"""
        resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))
        steps = pipeline([node(nodes.letters, ["size", f"n{{at}}"], f"v{{at}}") for at in range({count})])
        given = {{"size": {size}, **{{f"n{{at}}": at for at in range({count})}}}}
        with Runner("process_pool", workers=2) as runner, runner.run(steps, given) as result:
            print(sum(result[name] == nodes.letters({size}, int(name[1:])) for name in result))
        """
    )
    assert int(printed) == count


def test_many_runs_in_one_driver_make_nothing_grow():
    printed = run_script(
        """
        import gc, threading
        from pathlib import Path

        def state():
            gc.collect()
            memory = Path("/proc/self/statm").read_text().split()
            return {
                "descriptors": len(os.listdir("/proc/self/fd")),
                "threads": threading.active_count(),
                "processes": len(descendants(os.getpid())),
                "maps": len(Path("/proc/self/maps").read_text().splitlines()),
                "megabytes": int(memory[1]) * resource.getpagesize() >> 20,
            }

        good = pipeline([node(nodes.letters, ["size", "x"], f"v{at}", name=f"make{at}") for at in range(20)]
            + [node(len, f"v{at}", f"n{at}", name=f"read{at}") for at in range(20)]
            + [node(nodes.footprint, "x", f"foot{at}", name=f"foot{at}") for at in range(4)])
        bad = pipeline([node(nodes.letters, ["size", "x"], "v", name="make"), node(nodes.needs_two, "v", "y")])
        deadly = pipeline([node(nodes.letters, ["size", "x"], "v", name="make"), node(nodes.kill_self, "v", "y")])
        given = {"size": 100_000, "x": 1}
        seen, feet = [], {}
        with Runner("process_pool", workers=2) as runner:
            for at in range(40):
                result = runner.run(good, given)
                for number in range(4):
                    pid, foot = result[f"foot{number}"]
                    feet.setdefault(pid, []).append(foot)
                result.close()
                if at % 8 == 3:
                    for steps in (bad, deadly):
                        try:
                            runner.run(steps, given)
                        except NodeError:
                            pass
                        else:
                            raise AssertionError
                elif at % 8 == 7:
                    seen.append(state())
        for at in range(4):
            Runner("process_pool", workers=2).run(good, given).close()
        after = state()
        early, late = seen[0], seen[-1]
        for what, room in {"descriptors": 0, "threads": 0, "processes": 0, "maps": 10, "megabytes": 10}.items():
            if late[what] > early[what] + room or after[what] > early[what] + room:
                print("driver:", what, [each[what] for each in (*seen, after)])
        for found in feet.values():
            for at, what in enumerate(("descriptors", "maps", "threads")):
                if found[-1][at] > found[min(7, len(found) - 1)][at] + 5 * (what == "maps"):
                    print("worker:", what, [each[at] for each in found])
        if after["processes"] or after["threads"] != 1:
            print(after)
        """
    )
    assert printed == ""


# -- size -------------------------------------------------------------------------------------------------------------


def free_memory():
    lines = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    return int(lines["MemAvailable"].split()[0]) << 10


@pytest.mark.skipif(sys.platform == "linux" and free_memory() < 8 << 30, reason="less than 8 GB of memory are free")
def test_a_result_of_more_than_two_gigabytes_arrives():
    steps = pipeline([node(nodes.huge, "size", "made", name="make"), node(nodes.ends_of, "made", "seen", name="see")])
    size = (2 << 30) + 12_345
    with Runner("process_pool", workers=1).run(steps, {"size": size}) as result:
        assert result["seen"] == (size, 0, 7)


def test_names_of_ten_thousand_characters_cross_whole(tmp_path):
    dataset, name = "d" * 10_000, "n" * 10_000
    steps = pipeline([node(nodes.add_one, "x", dataset, name=name), node(nodes.add_one, dataset, "y", name="next")])
    with Runner("process_pool", workers=2).run(steps, {"x": 1}) as result:
        assert result["y"] == 3
        assert {report.node for report in result.report.tasks} == {name, "next"}


def test_a_deep_recursion_that_python_allows_is_allowed_in_a_node():
    depth = sys.getrecursionlimit() - 200
    steps = pipeline([node(nodes.depth_of, "depth", "y")])
    with Runner("process_pool", workers=1).run(steps, {"depth": depth}) as result:
        assert result["y"] == depth
