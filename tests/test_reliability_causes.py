"""What is told of a death or an error is its true cause, whatever brought it about."""

from __future__ import annotations

import os
import sys
from textwrap import dedent

import pytest

import awkward_errors as awkward
from kernel import Runner, node, pipeline, run
from kernel.errors import KernelError, NodeError, WorkerLost

pytestmark = [pytest.mark.timeout(90), pytest.mark.skipif(sys.platform == "win32", reason="processes of POSIX")]

EXECUTORS = ["sequential", "threads", "process_pool", "futures"]


@pytest.fixture(scope="module", params=EXECUTORS)
def warm(request):
    with Runner(request.param, workers=2) as runner:
        yield runner


@pytest.mark.parametrize("name", awkward.AWKWARD)
def test_an_error_that_cannot_be_looked_at_fails_its_node_by_name_and_the_worker_lives(warm, name):
    given = {"name": name, "odd": awkward.ExitsWhenMeasured(), "x": 1}
    with pytest.raises(NodeError) as caught:
        warm.run(pipeline([node(awkward.fail, ["name", "odd"], "y", name="to_blame")]), given)
    assert not isinstance(caught.value, WorkerLost)
    assert caught.value.node == "to_blame"
    assert name in caught.value.error_type
    with pytest.raises(NodeError, match="'to_blame' failed: ValueError: outer") as caught:
        warm.run(pipeline([node(awkward.fail_after, ["name", "odd"], "y", name="to_blame")]), given)
    assert warm.run(pipeline([node(awkward.same, "x", "y")]), given)["y"] == 1


def closes_its_stream(value):
    os.closerange(3, 200)
    return value


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
def test_of_a_stream_that_a_node_has_closed_this_is_told_and_no_lack_of_memory(start_method, capfd):
    flow = pipeline([node(closes_its_stream, "x", "y", name="closes")])
    with pytest.raises(WorkerLost, match="'closes' lost its worker 2 times: .* the loss of its connection") as caught:
        run(flow, {"x": 1}, executor="process_pool", workers=1, executor_options={"start_method": start_method})
    assert "memory" not in str(caught.value)
    assert "Traceback" not in capfd.readouterr().err


@pytest.mark.parametrize("start_method", ["forkserver", "spawn"])
@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("os._exit(7)", "exit code 7"),
        ("os.closerange(3, 200)", "the loss of its connection"),
        ("sys.exit(5)", "SystemExit: 5"),
    ],
)
def test_a_module_that_ends_its_worker_when_it_is_loaded_ends_the_run_with_that_cause(
    tmp_path, monkeypatch, start_method, line, told
):
    name = f"ends_early_{abs(hash((start_method, line)))}"
    (tmp_path / f"{name}.py").write_text(
        dedent(
            f"""
            import os, sys
            if os.getpid() != {os.getpid()}:
                {line}

            def same(value):
                return value
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    module = __import__(name)
    options = {"start_method": start_method}
    with pytest.raises(KernelError, match=told) as caught:
        run(pipeline([node(module.same, "x", "y")]), {"x": 1}, executor="process_pool", executor_options=options)
    assert not isinstance(caught.value, NodeError)
    assert "memory" not in str(caught.value)
