"""Bad input of every kind is refused before anything runs, with one error that lists all of it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import pytest

from kernel import Dataset, node, pipeline, run
from kernel.errors import ConfigError, PipelineError, ValidationError


def touch(path: str) -> str:
    Path(path).touch()
    return path


def both(left: object, right: object) -> object:
    return left, right


class OneProcess(Dataset):
    single_process = True

    def load(self) -> str:
        return "here"

    def save(self, data: object) -> None:
        raise AssertionError


def test_all_that_is_wrong_with_a_run_is_one_error_and_nothing_ran(tmp_path):
    ran = tmp_path / "ran"
    steps = pipeline(
        [
            node(touch, "path", "touched", name="first"),
            node(both, ["touched", "absent"], "joined", name="joining"),
            node(both, ["joined", "params:missing"], "more@arrow", name="adding"),
            node(both, ["connection", "more@pandas"], "end", name="ending"),
            node(threading.Lock().acquire, "end", "locked", name="locking"),
        ]
    )
    with pytest.raises(ValidationError) as caught:
        run(steps, {"path": str(ran), "connection": OneProcess(), "lock": 1}, executor="process_pool")
    told = str(caught.value)
    for part in ("'absent'", "'joining'", "'params:missing'", "'connection'", "'more@pandas'", "'locking'", "threads"):
        assert part in told
    assert not ran.exists()


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"executor": "proces_pool"}, "Did you mean 'process_pool'"),
        ({"executor": "process_pool", "catalog": "shared_memry"}, "Did you mean 'shared_memory'"),
        ({"executor": "threads", "executor_options": {"size": 3}}, "has no option 'size'"),
        ({"executor": "process_pool", "start_method": "clone"}, "unknown start method 'clone'"),
    ],
)
def test_a_plugin_that_cannot_be_had_is_told_together_with_what_else_is_wrong(options, part, tmp_path):
    steps = pipeline(
        [node(touch, "path", "touched", name="first"), node(both, ["touched", "absent"], None, name="last")]
    )
    with pytest.raises(ValidationError) as caught:
        run(steps, {"path": str(tmp_path / "ran")}, **options)
    assert part in str(caught.value)
    assert "'absent'" in str(caught.value)
    assert not (tmp_path / "ran").exists()


def test_a_plugin_that_cannot_be_had_is_told_as_it_is_where_nothing_else_is_wrong():
    with pytest.raises(ConfigError, match="unknown start method 'clone'"):
        run(pipeline([node(touch, "path", "touched")]), {"path": "x"}, executor="process_pool", start_method="clone")


def test_all_that_is_wrong_with_a_pipeline_is_one_error():
    with pytest.raises(PipelineError) as caught:
        pipeline(
            [
                node(touch, "a", "b", name="one"),
                node(touch, "b", "a", name="two"),
                node(touch, "c", "d", name="same"),
                node(touch, "e", "f", name="same"),
                node(touch, "g", "h", name="three"),
                node(touch, "i", "h", name="four"),
            ]
        )
    for part in ("one", "two", "same", "h"):
        assert part in str(caught.value)


def test_the_command_tells_faults_of_files_pipeline_parameters_and_plugins_at_once(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        textwrap.dedent(
            """
            [tool.kernel]
            pipelines = "flow:pipelines"
            catalog = "catalog.yml"
            parameters = "parameters.yml"
            """
        )
    )
    (tmp_path / "flow.py").write_text(
        textwrap.dedent(
            """
            from kernel import node, pipeline

            def same(value):
                return value

            def pipelines():
                return pipeline([node(same, "a", "b", name="one"), node(same, "b", "a", name="two")])
            """
        )
    )
    (tmp_path / "catalog.yml").write_text("a: [1, 2\nb: 3\n")
    (tmp_path / "parameters.yml").write_text("x: 1\nx: 2\n")
    command = [sys.executable, "-m", "kernel", "run", str(tmp_path), "--executor", "thread"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    for part in ("catalog.yml, line 2", "parameters.yml", "two -> one", "Did you mean 'threads'"):
        assert part in done.stderr
    assert len(done.stderr.splitlines()) <= 20


@pytest.mark.parametrize(
    ("steps", "values", "part"),
    [
        ([node(touch, "path", "touched")], {"path": "x"}, "pipeline([...])"),
        (pipeline([node(touch, "path", "touched")]), ["x"], "a mapping of names to values"),
    ],
)
def test_what_is_no_pipeline_or_no_mapping_is_told_in_words(steps, values, part):
    with pytest.raises(ConfigError) as caught:
        run(steps, values)
    assert part in str(caught.value)
