"""The command line: what `kernel run` and `kernel plugins` do, print and return, in their own processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from kernel.cli import main
from kernel.cli.options import merged_settings, split_names

if TYPE_CHECKING:
    from pathlib import Path

FLOW = """
    from kernel import node
    from kernel import pipeline as make

    def double(x, k):
        return x * k

    def measure(a, b):
        return {"sum": a + b, "r2": 0.123456789}

    def spread(a):
        return list(range(a))

    pipeline = make(
        [
            node(double, ["raw", "params:k"], "doubled", name="double", tags="fast"),
            node(measure, ["doubled", "raw"], "metrics", name="measure"),
            node(spread, "doubled", "table", name="spread", tags="slow"),
        ]
    )
    datasets = {"raw": 21}
    parameters = {"k": 2, "model": {"trees": 10}}
"""


def kernel(*words: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "kernel", *words],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=60,
        check=False,
        env={**os.environ, **environment},
    )


@pytest.fixture
def flow(tmp_path):
    (tmp_path / "flow.py").write_text(dedent(FLOW))
    return tmp_path


def file(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text))
    return path


@pytest.mark.parametrize("executor", ["sequential", "threads", "process_pool"])
def test_a_run_tells_each_node_the_counts_and_the_outputs(flow, executor):
    done = kernel("run", "flow.py", "--executor", executor, cwd=flow)
    assert (done.returncode, done.stderr) == (0, "")
    *nodes, summary, metrics, table = done.stdout.splitlines()
    assert sorted(line.split()[:2] for line in nodes) == [
        ["ok", "double"],
        ["ok", "measure"],
        ["ok", "spread"],
    ]
    assert all(re.fullmatch(r" ok     \w+ +\d+\.\d\ds  w\d+.*", line) for line in nodes)
    assert summary.startswith(" 3 nodes  3 ok  0 failed  0 skipped   ")
    assert metrics == " metrics = {'sum': 63, 'r2': 0.123457}"
    assert table == " table in memory: list of 42"


def test_a_project_in_the_current_folder_is_run_when_no_path_is_given(tmp_path):
    file(tmp_path, "pyproject.toml", '[tool.kernel]\npipelines = "flows:flow"\n')
    file(
        tmp_path,
        "src/flows.py",
        "from kernel import node, pipeline\nflow = pipeline([node(str.upper, 'a', 'b')])",
    )
    file(tmp_path, "conf/catalog.yml", "a: {type: text, filepath: a.txt}\nb: {type: text, filepath: out/b.txt}")
    file(tmp_path, "a.txt", "hello")
    done = kernel("run", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/b.txt").read_text() == "HELLO"
    assert done.stdout.splitlines()[-1] == " b -> out/b.txt"
    again = kernel("run", str(tmp_path), "--only-missing-outputs")
    assert "1 node  0 ok  0 failed  1 skipped" in again.stdout


def test_parameters_are_typed_and_nest_at_dots(flow):
    file(
        flow,
        "typed.py",
        """
        from kernel import node, pipeline
        pipeline = pipeline([node(lambda p: {k: repr(v) for k, v in p.items()}, "parameters", "said")])
        parameters = {"model": {"trees": 10}}
        """,
    )
    done = kernel("run", "typed.py", "--params", "a=1,b=1.5,c=yes it is", "--params", "d=[1,2],e=,f.g=true", cwd=flow)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == " said = " + repr(
        {
            "model": "{'trees': 10}",
            "a": "1",
            "b": "1.5",
            "c": "'yes it is'",
            "d": "[1, 2]",
            "e": "''",
            "f": "{'g': True}",
        }
    )


@pytest.mark.parametrize(
    ("options", "ran"),
    [
        (["--nodes", "double,measure"], {"double", "measure"}),
        (["-n", "double", "-n", "measure"], {"double", "measure"}),
        (["--tags", "fast,slow"], {"double", "spread"}),
        (["--tags", "fast,slow", "--to-nodes", "double"], {"double"}),
        (["--to-outputs", "metrics"], {"double", "measure"}),
        (["--from-inputs", "params:k", "--nodes", "spread, double"], {"double", "spread"}),
    ],
)
def test_options_choose_nodes_and_a_node_must_fit_all_kinds(flow, options, ran):
    done = kernel("run", "flow.py", *options, cwd=flow)
    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"^ ok +(\w+)", done.stdout, re.MULTILINE)) == ran


def test_listeners_are_told_what_was_asked_for(tmp_path):
    file(
        tmp_path,
        "flow.py",
        """
        from kernel import hookimpl, node, pipeline
        pipelines = {"a": pipeline([node(abs, "x", "y", name="n", namespace=None)])}
        datasets = {"x": 1}
        parameters = {"k": 1}

        class Ears:
            @hookimpl
            def before_pipeline_run(self, run_params):
                assert run_params.pop("run_id")
                assert run_params.pop("project_path").endswith("flow.py")
                print(sorted(run_params.items()))

        hooks = [Ears()]
        """,
    )
    done = kernel("run", "flow.py", "-p", "a", "--from-nodes", "n", "--params", "k=2", "-x", "threads", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == str(
        sorted(
            {
                "env": None,
                "tags": [],
                "from_nodes": ["n"],
                "to_nodes": [],
                "node_names": [],
                "from_inputs": [],
                "to_outputs": [],
                "namespaces": [],
                "load_versions": {},
                "runtime_params": {"k": 2},
                "pipeline_names": ["a"],
                "runner": "threads",
                "only_missing_outputs": False,
            }.items()
        )
    )


def test_the_executor_of_the_project_is_used_with_its_options_unless_another_is_asked_for(tmp_path):
    file(
        tmp_path,
        "pyproject.toml",
        '[tool.kernel]\npipelines = "flows:flow"\nexecutor = "threads"\nexecutor-options = {bogus = 1}\n',
    )
    file(
        tmp_path,
        "src/flows.py",
        "from kernel import node, pipeline\nflow = pipeline([node(lambda: 1, None, 'b')])",
    )
    assert "executor 'threads' has no option 'bogus'" in kernel("run", cwd=tmp_path).stderr
    assert kernel("run", "-x", "sequential", cwd=tmp_path).returncode == 0


def test_the_number_of_workers_and_an_option_of_the_executor_reach_it(flow):
    done = kernel("run", "flow.py", "-x", "threads", "--workers", "1", "--log-level", "info", cwd=flow)
    assert "on 1 worker" in done.stdout
    assert "INFO" in done.stderr
    assert "'nope'" in kernel("run", "flow.py", "--executor-option", "nope=1", cwd=flow).stderr
    assert "'nope'" in kernel("run", "flow.py", "--catalog-option", "nope=1", cwd=flow).stderr


def test_output_that_nobody_reads_does_not_end_the_run(flow):
    file(
        flow,
        "mark.py",
        "from kernel import node, pipeline\nfrom pathlib import Path\n"
        "pipeline = pipeline([node(abs, 'a', 'b', name='first'), "
        "node(lambda b: Path('done').touch(), 'b', None, name='second')])\ndatasets = {'a': 1}\n",
    )
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "kernel", "run", "mark.py"],
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
        cwd=flow,
        timeout=60,
        check=False,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    assert (flow / "done").exists()


def test_a_name_that_the_terminal_cannot_show_is_escaped(tmp_path):
    file(
        tmp_path,
        "flow.py",
        "from kernel import node, pipeline\n"
        "pipeline = pipeline([node(abs, 'a', 'gr\\u00f6\\u00dfe \\U0001f600', name='n')])\n"
        "datasets = {'a': 1}\n",
    )
    plain = kernel("run", "flow.py", cwd=tmp_path, PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert plain.returncode == 0, plain.stderr
    assert plain.stdout.splitlines()[-1] == r" gr\xf6\xdfe \U0001f600 = 1"


def test_long_outputs_are_cut_and_many_are_counted(tmp_path):
    file(
        tmp_path,
        "flow.py",
        "from kernel import node, pipeline\n"
        "long = lambda x: 'y' * 150\n"
        "pipeline = pipeline([node(long, 'a', f'{n:02}' * 20, name=f'n{n}') for n in range(25)])\n"
        "datasets = {'a': 1}\n",
    )
    lines = kernel("run", "flow.py", cwd=tmp_path).stdout.splitlines()
    assert max(map(len, lines)) <= 160
    assert lines[-1] == " and 5 more outputs"
    assert lines[-2].endswith("...")


def test_a_value_that_equals_a_credential_is_not_shown(tmp_path):
    file(tmp_path, "pyproject.toml", '[tool.kernel]\npipelines = "flows:flow"\n')
    file(
        tmp_path,
        "src/flows.py",
        """
        from kernel import node, pipeline

        def fail(b):
            raise ValueError(f"password {b!r} refused")

        flow = pipeline([node(lambda: "hunter2", None, "b", name="give"), node(fail, "b", "c", name="fail")])
        """,
    )
    file(tmp_path, "conf/credentials.yml", "key: {secret: hunter2}")
    done = kernel("run", "-n", "give", cwd=tmp_path)
    assert done.stdout.splitlines()[-1] == " b = '***'"
    done = kernel("run", cwd=tmp_path)
    assert "ValueError: password '***' refused" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_plugins_are_listed_and_explained():
    done = kernel("plugins")
    assert done.returncode == 0
    assert re.search(r"^executor +threads +kernel-pipelines", done.stdout, re.MULTILINE)
    assert re.search(r"^listener +kernel_project ", done.stdout, re.MULTILINE)
    one = kernel("plugins", "kernel_project")
    assert one.returncode == 0
    assert "hooks        load_project" in one.stdout
    assert "status       ok" in one.stdout
    unknown = kernel("plugins", "treads")
    assert unknown.returncode == 2
    assert "did you mean 'threads'?" in unknown.stderr


def test_a_check_of_plugins_names_the_broken_one_its_cause_and_the_way_out(tmp_path):
    assert kernel("plugins", "--check").returncode == 0
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[kernel.hooks]\nbrk = no_such_module_at_all\n")
    done = kernel("plugins", "--check", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert re.search(r"^listener +brk +broken +1.0 +broken$", done.stdout, re.MULTILINE)
    assert "no_such_module_at_all" in done.stdout
    assert "--no-plugin brk" in done.stdout


def test_help_imports_neither_runner_nor_plugins():
    code = "import sys; from kernel.cli import main; main(['--help']); print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    modules = set(re.findall(r"'([\w.]+)'", done.stdout.splitlines()[-1]))
    assert not modules & {"attrs", "yaml", "pluggy", "stevedore", "kernel.runner", "importlib.metadata"}
    assert "run      Run the pipeline of the project at PATH." in done.stdout


def test_the_version_is_told():
    assert re.fullmatch(r"kernel \d+\.\d+.*\n", kernel("--version").stdout)


def test_commas_inside_of_brackets_do_not_split():
    assert split_names("a, f([b,c]) -> [d,e],,g ") == ["a", "f([b,c]) -> [d,e]", "g"]


def test_settings_merge_the_last_one_wins():
    groups = [{"a.b": 1, "a.c": 2}, {"a.b": 3, "x": 1}, {"x.y": 4}]
    assert merged_settings(groups, nested=True) == {"a": {"b": 3, "c": 2}, "x": {"y": 4}}
    assert merged_settings(groups) == {"a.b": 3, "a.c": 2, "x": 1, "x.y": 4}


@pytest.mark.parametrize("words", [["run", "--bogus"], ["bogus"], ["run", "--workers", "0"], ["run", "--params", "x"]])
def test_wrong_usage_returns_2_and_says_where_help_is(words, capsys):
    assert main(words) == 2
    assert "help" in capsys.readouterr().err


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_workers_find_the_projects_modules_and_listeners_wherever_the_command_is_typed(tmp_path, method):
    folder = tmp_path / "shop"
    file(
        folder,
        "pyproject.toml",
        """
        [tool.kernel]
        pipelines = "shop.flows:create"
        hooks = ["shop.ears:Ears"]
        executor = "process_pool"
        dataset-types = {loud = "shop.types:Loud"}
        """,
    )
    file(folder, "src/shop/__init__.py", "")
    file(
        folder,
        "src/shop/flows.py",
        """
        from kernel import node, pipeline

        def greet(name, mark):
            return name + mark

        def create():
            return pipeline([node(greet, ["name", "params:mark"], "greeting", name="greet")])
        """,
    )
    file(
        folder,
        "src/shop/ears.py",
        """
        from kernel import hookimpl

        class Ears:
            @hookimpl
            def before_node_run(self, inputs):
                return {"params:mark": inputs["params:mark"] * 2}
        """,
    )
    file(
        folder,
        "src/shop/types.py",
        """
        from kernel import Dataset

        class Loud(Dataset):
            def __init__(self, text):
                self.text = text

            def load(self):
                return self.text.upper()

            def save(self, data):
                raise NotImplementedError
        """,
    )
    file(folder, "conf/catalog.yml", "name: {type: loud, text: ada}")
    file(folder, "conf/parameters.yml", "mark: '?'")
    done = kernel("run", "shop", "--start-method", method, "--params", "mark='!'", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == " greeting = 'ADA!!'"
