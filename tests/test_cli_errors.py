"""How `kernel run` ends badly: exit codes, and errors that name the node, the user's line and the way on."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from kernel.cli.failures import exit_code, resume_command, tell
from kernel.cli.lines import escaped
from kernel.errors import (
    ConfigError,
    HookError,
    Interrupted,
    NodeError,
    PipelineError,
    PluginError,
    SchedulingError,
    ValidationError,
    WorkerLost,
)

if TYPE_CHECKING:
    from pathlib import Path

FLOW = """
    import json, os, signal
    from kernel import node, pipeline

    def load(x):
        return {"x": x}

    def evaluate(table):
        return look_up(table)

    def look_up(table):
        return table["nope"]

    def parse(text):
        return json.loads(text)

    def wrap(table):
        try:
            look_up(table)
        except KeyError as error:
            raise RuntimeError("could not evaluate") from error

    def leave(x):
        raise SystemExit(0)

    def interrupt(x):
        raise KeyboardInterrupt

    class Odd(BaseException):
        pass

    def odd(x):
        raise Odd("odd")

    def forge(x):
        raise ValueError("first\\n ok     forged     0.00s  w0\\x1b[2J\\n" + "more\\n" * 50)

    def die(x):
        os.kill(os.getpid(), signal.SIGKILL)

    loading = node(load, "raw", "table", name="load")
    pipelines = {
        "evaluate": pipeline([loading, node(evaluate, "table", "y", name="evaluate")]),
        "wrap": pipeline([loading, node(wrap, "table", "z", name="wrap")]),
        "parse": pipeline([node(parse, "text", "parsed", name="parse")]),
        "leave": pipeline([node(leave, "raw", "l", name="leave")]),
        "interrupt": pipeline([node(interrupt, "raw", "i", name="interrupt")]),
        "odd": pipeline([node(odd, "raw", "o", name="odd")]),
        "forge": pipeline([node(forge, "raw", "f", name="forge")]),
        "die": pipeline([node(die, "raw", "d", name="die")]),
        "missing": pipeline([node(load, "rwa", "m", name="missing")]),
    }
    datasets = {"raw": "s3cret", "text": "{s3cret"}
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kernel", "run", *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=60, check=False)


@pytest.fixture
def flow(tmp_path):
    (tmp_path / "flow.py").write_text(dedent(FLOW))
    return tmp_path


@pytest.mark.parametrize("executor", ["sequential", "process_pool"])
def test_a_failed_node_is_told_with_the_users_line_and_a_command_to_resume(flow, executor):
    done = run(flow, "flow.py", "-p", "evaluate", "-x", executor)
    assert done.returncode == 1
    head, source, caller, error, inputs, resume = done.stderr.splitlines()
    assert head.startswith(" FAILED  evaluate  (worker ")
    assert head.endswith("   flow.py:12")
    assert source == '   return table["nope"]'
    assert caller == "   called from flow.py:9  return look_up(table)"
    assert error == " KeyError: 'nope'"
    assert inputs.startswith(" inputs:  table dict of ")
    assert resume.startswith(" resume:  ")
    assert resume.endswith(f'kernel run flow.py -p evaluate -x {executor} --from-nodes "load"')
    assert "s3cret" not in done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith(" 2 nodes  1 ok  1 failed  0 skipped")


def test_frames_of_libraries_are_folded_unless_asked_for(flow):
    done = run(flow, "flow.py", "-p", "parse")
    assert "   raised in json/decoder.py:" in done.stderr
    assert "flow.py:15" in done.stderr
    assert "File" not in done.stderr
    full = run(flow, "flow.py", "-p", "parse", "--full-traceback")
    assert full.stderr.count("json/decoder.py") >= 1
    assert full.stderr.count("Traceback") == 1


def test_a_cause_is_told_with_its_own_line(flow):
    done = run(flow, "flow.py", "-p", "wrap")
    assert " RuntimeError: could not evaluate\n caused by KeyError: 'nope'  at flow.py:12\n" in done.stderr


@pytest.mark.parametrize(
    ("name", "text"),
    [("leave", "SystemExit: 0"), ("interrupt", "KeyboardInterrupt"), ("odd", "flow.Odd: odd")],
)
@pytest.mark.parametrize("executor", ["sequential", "process_pool"])
def test_whatever_a_node_raises_is_its_error_and_the_code_is_1(flow, executor, name, text):
    done = run(flow, "flow.py", "-p", name, "-x", executor)
    assert done.returncode == 1
    assert f" FAILED  {name}" in done.stderr
    assert f" {text}\n" in done.stderr
    assert done.stderr.splitlines()[-1] == " resume:  No node was done. Repeat the command."


def test_a_message_can_neither_forge_a_line_nor_flood_the_screen(flow):
    done = run(flow, "flow.py", "-p", "forge")
    assert "\n ok     forged" not in done.stdout + done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert r" |  ok     forged     0.00s  w0\x1b[2J" in done.stderr
    assert len(done.stderr.splitlines()) <= 20


def test_a_worker_that_dies_again_is_told_with_node_and_signal_and_the_code_is_3(flow):
    done = run(flow, "flow.py", "-p", "die", "-x", "process_pool", "--death-retries", "0")
    assert done.returncode == 3
    assert " LOST  die  (worker " in done.stderr
    assert "SIGKILL" in done.stderr
    assert " LOST   " in done.stdout


def test_what_is_missing_is_told_before_anything_runs(flow):
    done = run(flow, "flow.py", "-p", "missing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "'rwa', an input of node 'missing'" in done.stderr
    assert "did you mean 'raw'" in done.stderr


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["flow.py", "-x", "thread"], "Did you mean 'threads'?"),
        (["flow.py", "-n", "evalute"], "did you mean 'evaluate'?"),
        (["flow.py", "-p", "evalute"], "did you mean 'evaluate'?"),
        (["flow.py", "--params", "x=1"], "neither a node nor the project knows the parameter 'x'"),
        (["nothing.py"], "there is no file or folder"),
        (["."], "is no project"),
        (["flow.py", "-x", "threads", "--start-method", "spawn"], "has no option 'start_method'"),
        (["flow.py", "--no-plugin", "nobody"], "'nobody'"),
        (["flow.py", "--env", "prod"], "no environments"),
    ],
)
def test_a_mistake_in_the_command_is_told_in_a_few_lines_and_the_code_is_2(flow, words, text):
    done = run(flow, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(" ERROR  ")
    assert text in done.stderr
    assert len(done.stderr.splitlines()) <= 3
    assert "Traceback" not in done.stderr


def test_a_mistake_in_the_users_module_is_told_with_its_line(tmp_path):
    (tmp_path / "cycle.py").write_text(
        "from kernel import node, pipeline\n\n"
        "pipeline = pipeline([node(abs, 'a', 'b', name='x'), node(abs, 'b', 'a', name='y')])\n"
    )
    done = run(tmp_path, "cycle.py")
    assert done.returncode == 2
    assert "cycle" in done.stderr.splitlines()[0]
    assert "   at cycle.py:3\n     pipeline = pipeline([" in done.stderr
    (tmp_path / "syntax.py").write_text("x = 1\ndef f(x:\n    pass\n")
    done = run(tmp_path, "syntax.py")
    assert done.returncode == 2
    assert "   at syntax.py:2\n     def f(x:\n" in done.stderr


def test_a_listener_that_fails_is_named_with_its_line_and_the_way_to_skip_it(tmp_path):
    (tmp_path / "heard.py").write_text(
        dedent("""
        from kernel import hookimpl, node, pipeline
        pipeline = pipeline([node(abs, "a", "b", name="n")])
        datasets = {"a": 1}

        class Ears:
            @hookimpl
            def before_node_run(self):
                raise OSError("no tracking server")

        hooks = [Ears]
        """)
    )
    done = run(tmp_path, "heard.py")
    assert done.returncode == 1
    assert "heard:Ears" in done.stderr
    assert "no tracking server" in done.stderr
    assert "heard.py:9" in done.stderr


@pytest.mark.parametrize(
    ("error", "running", "code"),
    [
        (NodeError("n"), True, 1),
        (SchedulingError("stuck"), True, 1),
        (HookError("after_node_run", "l", "d", "p"), True, 1),
        (HookError("load_project", "l", "d", "p"), False, 2),
        (ConfigError("c"), True, 2),
        (PipelineError("c"), False, 2),
        (PluginError("c"), True, 2),
        (ValidationError(["a", "b"]), True, 2),
        (WorkerLost("n", 1, "SIGKILL", 2), True, 3),
        (Interrupted(1), True, 129),
        (Interrupted(2), True, 130),
        (Interrupted(15), True, 143),
        (KeyboardInterrupt(), False, 130),
        (ZeroDivisionError(), True, 1),
    ],
)
def test_each_kind_of_error_has_its_exit_code(error, running, code):
    assert exit_code(error, running=running) == code


def test_the_command_to_resume_is_the_users_own_with_other_nodes_to_start_from():
    words = ["kernel", "run", "my flow.py", "--from-nodes", "old", "--params", "a=$x", "--from-nodes=older"]
    assert resume_command(words, ["b", "c"]) == "kernel run 'my flow.py' --params 'a=$x' --from-nodes \"b,c\""
    assert resume_command(words, ["<lambda>__1a"]).endswith("--from-nodes '<lambda>__1a'")
    assert resume_command(words, []) == "No node was done. Repeat the command."


def test_many_failures_and_problems_stay_within_twenty_lines(capsys):
    error = NodeError("first", "ValueError", "\n".join("abcdefghij"), "Traceback\n")
    error.others = [NodeError(f"n{number}", "ValueError", "x") for number in range(30)]
    tell(error, ["kernel", "run"])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 20
    assert " and 26 more nodes failed" in lines
    tell(ValidationError([f"problem {number}" for number in range(100)]), [])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) <= 20
    assert lines[-1] == " ... 83 more lines; --full-traceback shows all"


def test_what_else_failed_is_told_with_its_whole_message(capsys):
    error = NodeError("first", "ValueError", "x")
    error.others = [NodeError("second", "ValueError", f"{'long ' * 50}end")]
    tell(error, ["kernel", "run"])
    (line,) = [each for each in capsys.readouterr().err.splitlines() if each.startswith(" also FAILED  second")]
    assert line.endswith("long end")


def test_secrets_are_hidden_in_errors_but_not_in_the_command_to_resume(capsys):
    error = NodeError("n", "ValueError", "hunter2 refused")
    error.resume = ("n",)
    tell(error, ["kernel", "run", "--params", "p=hunter2"], secrets=["hunter2"])
    text = capsys.readouterr().err
    assert "ValueError: *** refused" in text
    assert "--params p=hunter2" in text


def test_an_error_that_should_not_happen_is_told_with_its_traceback_once(capsys):
    try:
        raise ZeroDivisionError("by zero")
    except ZeroDivisionError as error:
        tell(error, [])
    text = capsys.readouterr().err
    assert text.count("Traceback") == 1
    assert "please report it" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain", "plain"),
        ("größe 😀", "größe 😀"),
        ("a\nb\r\x1b[2J", r"a\nb\r\x1b[2J"),
        ("\u2028\u202e\u200b\ud800", r"\u2028\u202e\u200b\ud800"),
    ],
)
def test_characters_that_steer_a_terminal_are_escaped(text, shown):
    assert escaped(text) == shown


def test_the_command_to_resume_works_after_a_double_dash(flow):
    done = run(flow, "-p", "evaluate", "--", "flow.py")
    assert done.stderr.splitlines()[-1].endswith('kernel run -p evaluate --from-nodes "load" -- flow.py')


ALTERNATIVES = """
    from kernel import node, pipeline

    def boom(x):
        raise ExceptionGroup("two at once", [ValueError("the first"), KeyError("the second")])

    def stop_at(x):
        if x > 0:
            raise ValueError("on purpose")
        return x

    pipelines = {
        "quick": pipeline([node(len, "text", "y", name="quick")]),
        "exact": pipeline([node(len, "text", "y", name="exact")]),
        "group": pipeline([node(boom, "text", "z", name="boom")]),
        "steps": pipeline([node(len, "text", "n", name="count"), node(stop_at, "n", "m", name="stop")]),
    }
    datasets = {"text": "abc"}
"""


@pytest.fixture
def alternatives(tmp_path):
    (tmp_path / "flow.py").write_text(dedent(ALTERNATIVES))
    return tmp_path


def test_pipelines_that_cannot_run_together_can_run_alone(alternatives):
    assert run(alternatives, "flow.py", "-p", "quick").stdout.endswith("y = 3\n")
    done = run(alternatives, "flow.py")
    assert done.returncode == 2
    assert done.stderr.startswith(" ERROR  the pipelines cannot run together: output 'y' is made by two nodes")
    assert "--pipeline; there are: exact, group, quick, steps" in done.stderr


@pytest.mark.parametrize("executor", ["sequential", "process_pool"])
def test_of_a_group_of_errors_each_is_told(alternatives, executor):
    done = run(alternatives, "flow.py", "-p", "group", "-x", executor)
    assert " ExceptionGroup: two at once (2 sub-exceptions)\n | ValueError: the first\n | KeyError: " in done.stderr


def test_where_values_stay_the_command_goes_on_with_them(alternatives):
    words = ["flow.py", "-p", "steps", "--catalog", "objects", "--catalog-option", "url=kept"]
    first_run = run(alternatives, *words)
    first = first_run.stderr.splitlines()[-1]
    (folder,) = (alternatives / "kept").iterdir()
    assert first.endswith(f"kernel run {' '.join(words)} --catalog-option resume={folder.name}")
    again = run(alternatives, *words, "--catalog-option", f"resume={folder.name}")
    assert again.stderr.splitlines()[-1] == first
    assert " count " in first_run.stdout
    assert " count " not in again.stdout
