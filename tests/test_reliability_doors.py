"""What a run keeps to itself: secrets stay out of what it says, names are data, and nobody else can come in."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from contextlib import suppress
from pathlib import Path
from textwrap import dedent

import pytest

import fault_nodes as nodes
from kernel import Runner, node, pipeline
from kernel.errors import NodeError, PipelineError
from watching import descendants

pytestmark = [
    pytest.mark.timeout(60),
    pytest.mark.skipif(sys.platform != "linux", reason="/proc of Linux"),
]

SECRET = "s3cr3t-of-the-user"
FLOW = f"""
    import logging, os, signal, sys, time
    sys.path.insert(0, {str(Path(__file__).parent)!r})
    import fault_nodes as nodes
    from kernel import node, pipeline as make

    def fail(secret, nested):
        logging.getLogger("flow").warning("about to fail")
        raise ValueError("on purpose")

    def die(secret, nested):
        os.kill(os.getpid(), signal.SIGKILL)

    def take_long(secret, nested):
        time.sleep(60)

    def too_few(secret, nested):
        return secret, nested

    def lock(secret, nested):
        return [secret, nodes.a_lock(0)]

    def holds(secret, nested):
        return nodes.RefusesToBeRebuilt(secret)

    def flow(function, outputs, *more, **policy):
        blamed = node(function, ["secret", "nested"], outputs, name=f"{{function.__name__}}_it", **policy)
        return make([node(nodes.same, "token", "secret", name="pass"), blamed, *more])

    pipelines = {{
        "fail": flow(fail, "failed"),
        "die": flow(die, "died"),
        "take_long": flow(take_long, "took", timeout=0.2),
        "too_few": flow(too_few, ["a", "b", "c"]),
        "lock": flow(lock, "locked"),
        "holds": flow(holds, "held", node(nodes.same, "held", "end", name="reader")),
    }}
    datasets = {{"token": "{SECRET}", "nested": {{"password": ["{SECRET}"]}}}}
"""


def command(folder, *words):
    (folder / "flow.py").write_text(dedent(FLOW))
    return subprocess.run(
        [sys.executable, "-m", "kernel", "run", "flow.py", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", ["fail", "die", "take_long", "too_few", "lock", "holds"])
def test_a_value_that_is_secret_stands_in_nothing_that_a_failing_run_says(tmp_path, name):
    done = command(tmp_path, "-p", name, "-x", "process_pool", "--log-level", "debug", "--full-traceback")
    assert done.returncode in {1, 3}
    assert ("reader" if name == "holds" else f"{name}_it") in done.stderr
    assert SECRET not in done.stdout + done.stderr


def test_a_value_that_is_secret_stands_in_no_error_and_its_traceback():
    steps = pipeline([node(nodes.needs_two, "secret", "y", name="to_blame")])
    with pytest.raises(NodeError) as caught:
        Runner("process_pool", workers=1).run(steps, {"secret": SECRET})
    error = caught.value
    for told in (str(error), repr(error), error.traceback, "".join(traceback.format_exception(error))):
        assert SECRET not in told
    assert error.inputs == {"secret": f"str of {len(SECRET)}"}


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "nul\0", "back\rover", "bell\a", "\u2028line", "../up"])
def test_a_nodes_name_that_could_forge_a_line_or_leave_a_folder_is_refused_and_shown_escaped(name):
    with pytest.raises(PipelineError) as caught:
        node(nodes.same, "x", "y", name=name)
    assert name not in str(caught.value) or name == "../up"
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["two\nlines", "\x1b[31mred", "nul\0", "back\rover", "bell\a", "\u2028line"])
def test_a_datasets_name_that_could_forge_a_line_is_refused_and_shown_escaped(name):
    with pytest.raises(PipelineError) as caught:
        node(nodes.same, "x", name)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "name", ["🛫", "数据", "d" * 10_000, "../../up", "a/b", "%s %d {0}"], ids=lambda name: name[:12]
)
def test_any_other_name_of_a_dataset_is_shown_on_one_line_when_its_node_fails(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    steps = pipeline([node(nodes.a_lock, "x", name, name="to_blame")])
    with pytest.raises(NodeError) as caught:
        Runner("process_pool", workers=1).run(steps, {"x": 1})
    told = str(caught.value)
    assert f" {name[:100]}" in told
    assert "return plain data instead of open resources" in told
    assert told.isprintable()
    assert list(tmp_path.rglob("*")) == []


# -- doors ------------------------------------------------------------------------------------------------------------


def listening_sockets():
    """Return the inodes of all sockets that wait for connections: of TCP, and of Unix by path or abstract name."""
    found = set()
    for table in ("tcp", "tcp6"):
        path = Path("/proc/net") / table
        rows = [line.split() for line in path.read_text().splitlines()[1:]] if path.exists() else []
        found |= {row[9] for row in rows if row[3] == "0A"}
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    return found | {row[6] for row in rows if int(row[3], 16) & 0x10000}


def sockets_of(pid):
    links = []
    with suppress(FileNotFoundError, ProcessLookupError):  # a process that ended meanwhile
        for path in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # the listing's own descriptor
                links.append(str(path.readlink()))
    return {link.removeprefix("socket:[").removesuffix("]") for link in links if link.startswith("socket:[")}


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_while_a_run_lives_none_of_its_processes_waits_for_connections(method):
    before = set().union(*map(sockets_of, [os.getpid(), *descendants(os.getpid())]))
    steps = pipeline([node(nodes.nap, ["soon", "x"], f"o{at}", name=f"n{at}") for at in range(4)])
    with Runner("process_pool", workers=2, start_method=method) as runner:
        runner.run(steps, {"soon": 0.05, "x": 1})
        family = [os.getpid(), *descendants(os.getpid())]
        assert len(family) >= 3
        held = set().union(*map(sockets_of, family)) - before
        assert held, "workers are reached by sockets"
        assert held & listening_sockets() == set()


def test_no_other_user_can_read_what_a_live_run_keeps_in_files(tmp_path):
    memory = tmp_path / "memory"
    memory.mkdir()
    steps = pipeline([node(nodes.modes_in, ["folder", "value"], "modes")])
    given = {"folder": str(memory), "value": bytearray(1 << 20)}
    runner = Runner("process_pool", workers=1, catalog_options={"directory": memory})
    with runner.run(steps, given) as result:
        modes = result["modes"]
    assert {mode for name, mode in modes.items() if name.count("/") == 0} == {0o700}
    assert {mode for name, mode in modes.items() if name.count("/") == 1} == {0o600}
