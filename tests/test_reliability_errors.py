"""Whatever a node raises or returns is its own error: named, told with its text, not repeated; the run ends at once."""

from __future__ import annotations

import traceback

import pytest

import fault_nodes as nodes
from kernel import Runner, node, pipeline
from kernel.errors import DatasetError, NodeError, RebuildError, ValidationError, WorkerLost
from kernel.specs.events import State
from kernel.testing.listeners import Ends

pytestmark = pytest.mark.timeout(60)

#: Executors between whose processes values travel as bytes.
FAR = [("process_pool", {"catalog": "memory"}), ("process_pool", {"catalog": "shared_memory"}), ("futures", {})]


@pytest.fixture(scope="module")
def pool():
    with Runner("process_pool", workers=2) as runner:
        yield runner


def error_of(runner, steps, given):
    with pytest.raises(NodeError) as caught:
        runner.run(pipeline(steps), given)
    assert not isinstance(caught.value, WorkerLost)
    return caught.value


@pytest.mark.parametrize("name", nodes.RAISED)
def test_whatever_is_raised_is_named_told_and_run_once_and_the_worker_lives(pool, tmp_path, name):
    given = {"folder": str(tmp_path), "name": name, "x": 1}
    error = error_of(pool, [node(nodes.raise_it, ["folder", "name"], "y", name="to_blame")], given)
    assert (error.node, error.error_type.rpartition(".")[2]) == ("to_blame", name)
    assert "raise_it" in error.traceback
    assert nodes.counted(tmp_path, "ran") == 1
    assert pool.run(pipeline([node(nodes.add_one, "x", "y")]), given)["y"] == 2


def test_hundreds_of_long_causes_are_cut_and_told(pool, tmp_path):
    given = {"folder": str(tmp_path), "name": "RuntimeError"}
    error = error_of(pool, [node(nodes.raise_it, ["folder", "name"], "y", name="to_blame")], given)
    shown = "".join(traceback.format_exception(error))
    assert "the last of many" in error.traceback
    assert "cause 399" in error.traceback
    assert "cause 390" not in error.traceback
    assert "earlier causes are left out" in error.traceback
    assert len(error.traceback) < 500_000
    assert "the last of many" in shown


@pytest.mark.parametrize(("function", "part"), [(nodes.a_lock, "cannot pickle"), (nodes.deep, "Deep")])
def test_a_result_that_cannot_be_sent_is_its_nodes_error_and_names_the_dataset(pool, function, part):
    error = error_of(pool, [node(function, "x", "made", name="to_blame")], {"x": 1})
    assert error.node == "to_blame"
    assert isinstance(error.cause, DatasetError)
    assert str(error.cause).startswith("made: ")
    assert part in str(error)


@pytest.mark.parametrize(("executor", "options"), FAR, ids=lambda given: given if isinstance(given, str) else "")
@pytest.mark.parametrize("hooks", [[], [nodes.HearsOfLoads()]], ids=["unheard", "heard"])
def test_a_result_that_cannot_be_rebuilt_is_its_readers_error_and_names_who_made_it(executor, options, hooks):
    steps = [node(nodes.explodes, "x", "made", name="makes"), node(nodes.same, "made", "y", name="reads")]
    with Runner(executor, workers=2, hooks=hooks, **options) as runner:
        error = error_of(runner, steps, {"x": 1})
    assert error.node == "reads"
    assert isinstance(error.cause, RebuildError)
    assert (error.cause.name, error.cause.maker) == ("made", "makes")
    assert str(error.cause).startswith("made: the value that node 'makes' made ")
    assert "ValueError: invalid literal for int() with base 10: 'not a number'" in str(error.cause)


def test_an_input_of_the_run_that_cannot_be_rebuilt_is_its_readers_error_and_names_the_dataset(pool):
    error = error_of(pool, [node(nodes.same, "given", "y", name="reads")], {"given": nodes.Explodes()})
    assert error.node == "reads"
    assert str(error.cause).startswith("given: the value was ")
    assert "'not a number'" in str(error.cause)


def test_an_error_about_a_value_tells_what_its_class_said_even_where_that_raises(pool):
    error = error_of(pool, [node(nodes.same, "given", "y", name="reads")], {"given": nodes.ExplodesWithoutText()})
    assert "ShowsNothing: (its message could not be made: RuntimeError)" in str(error.cause)


@pytest.mark.parametrize("value", [nodes.Deep(), nodes.a_lock(0)], ids=["too deep", "a lock"])
def test_an_input_of_the_run_that_cannot_be_sent_is_refused_and_named_with_its_reader(pool, value):
    with pytest.raises(ValidationError) as caught:
        pool.run(pipeline([node(nodes.same, "given", "y", name="reads")]), {"given": value})
    assert "given: " in str(caught.value)
    assert "reads" in str(caught.value)


def test_a_free_output_that_cannot_be_rebuilt_is_an_error_that_names_it_when_it_is_asked_for(pool):
    result = pool.run(pipeline([node(nodes.explodes, "x", "made", name="explodes")]), {"x": 1})
    said = "made: the value that node 'explodes' made .* ValueError: invalid literal .* 'not a number'"
    with result, pytest.raises(DatasetError, match=said):
        result["made"]


def test_a_note_that_cannot_be_rebuilt_is_its_nodes_error(pool):
    steps = [
        node(nodes.notes_what_explodes, "x", "made", name="to_blame"),
        *(node(nodes.add_one, "x", f"o{at}", name=f"n{at}") for at in range(5)),
    ]
    error = error_of(pool, steps, {"x": 1})
    assert error.node == "to_blame"


class BreaksInWorkers:
    """A function that can be pickled, and raises when it is unpickled."""

    __name__ = "breaks_in_workers"

    def __call__(self, value):
        return value

    def __reduce__(self):
        return int, ("not a number",)


def test_a_function_that_cannot_be_rebuilt_is_named():
    steps = [node(nodes.same, "x", "a", name="good"), node(BreaksInWorkers(), "x", "b", name="to_blame")]
    with pytest.raises((NodeError, ValidationError), match="to_blame"):
        Runner("process_pool", workers=2).run(pipeline(steps), {"x": 1})


def test_of_five_thousand_nodes_at_most_as_many_end_after_a_failure_as_there_are_workers(pool, tmp_path):
    ends = Ends()
    steps = [node(nodes.countdown, ["folder", f"i{at}", "poison"], f"o{at}", name=f"n{at:04}") for at in range(5000)]
    given = {"folder": str(tmp_path), "poison": 2500, **{f"i{at}": at for at in range(5000)}}
    with Runner("process_pool", workers=2, hooks=[ends]) as runner:
        error = error_of(runner, steps, given)
    assert (error.node, error.error_text) == ("n2500", "the sum is wrong")
    done = [end for state, end in ends.ends if state == State.DONE]
    (failed,) = [end for state, end in ends.ends if state == State.FAILED]
    assert len(done) == nodes.counted(tmp_path, "ran") < 5000
    assert sum(end > failed for end in done) <= 2
