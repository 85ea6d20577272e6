"""Errors on their way from a worker to the runner: what always crosses, and what is rebuilt where it can be."""

from __future__ import annotations

import pickle

import pytest

import parallel_nodes as nodes
from kernel.errors import NodeError
from kernel.failure import MOST_BYTES, MOST_CHARACTERS, capture, rebuild


def raised(error, cause=None):
    """Return the error as it is after it was raised."""
    try:
        if cause is not None:
            raise error from cause
        raise error
    except BaseException as caught:
        return caught


def crossed(error, place="run"):
    """Capture an error, send it through a pickle, and make the runner's error of it."""
    failure = pickle.loads(pickle.dumps(capture(error, place), 5))
    assert failure.place == place
    return rebuild(failure, "node", 3)


@pytest.mark.parametrize("error", [ValueError("text"), KeyError("k"), OSError(2, "gone", "file"), SystemExit(4)])
def test_an_error_that_pickles_is_rebuilt_with_type_and_arguments(error):
    got = crossed(raised(error))
    assert type(got) is NodeError
    assert (type(got.cause), got.cause.args) == (type(error), error.args)
    assert (got.node, got.worker) == ("node", 3)


@pytest.mark.parametrize("error", [nodes.NeedsTwo("this", "that"), nodes.HoldsALock()])
def test_an_error_that_cannot_be_rebuilt_crosses_as_type_text_and_traceback(error):
    got = crossed(raised(error))
    assert got.cause is None
    assert got.error_type == f"parallel_nodes.{type(error).__name__}"
    assert str(error) in str(got)
    assert "in raised" in got.traceback


def test_an_error_of_a_local_class_is_rebuilt_by_value():
    class Local(Exception):
        pass

    got = crossed(raised(Local("here")))
    assert type(got.cause).__name__ == "Local"
    assert got.cause.args == ("here",)


def test_an_error_without_a_text_says_so():
    assert "its message could not be made: RuntimeError" in crossed(raised(nodes.NoText())).error_text


def test_causes_are_shown_the_oldest_first():
    text = crossed(raised(ValueError("second"), raised(KeyError("first")))).traceback
    assert 0 <= text.index("first") < text.index("which led to") < text.index("second")


def test_a_suppressed_context_is_left_out():
    try:
        try:
            raise KeyError("hidden")
        except KeyError:
            raise ValueError("shown") from None
    except ValueError as error:
        text = crossed(error).traceback
    assert "shown" in text
    assert "hidden" not in text


def test_a_chain_that_bites_its_tail_ends():
    first, second = ValueError("first"), ValueError("second")
    first.__cause__, second.__cause__ = second, first
    assert crossed(raised(first)).traceback.count("ValueError: first") == 1


def test_a_long_chain_of_long_texts_is_cut():
    error = None
    for number in range(100):
        error = raised(ValueError(f"{number} " + "x" * 50_000), error)
    got = crossed(error)
    assert "earlier causes are left out" in got.traceback
    assert len(got.traceback) < 20 * MOST_CHARACTERS
    assert "characters left out" in got.error_text


def test_a_large_error_crosses_as_text_only():
    got = crossed(raised(ValueError("y" * (2 * MOST_BYTES))))
    assert got.cause is None
    assert got.error_type == "ValueError"


def test_deep_recursion_is_shown_in_part():
    def deeper():
        return deeper()

    with pytest.raises(RecursionError) as caught:
        deeper()
    got = crossed(caught.value)
    assert got.error_type == "RecursionError"
    assert len(got.traceback.splitlines()) < 200


def test_notes_are_shown():
    error = raised(ValueError("text"))
    error.add_note("look at the third row")
    assert "look at the third row" in crossed(error).traceback


def test_an_error_that_only_the_worker_can_read_is_told_as_text():
    failure = capture(raised(ValueError("text")), "run")
    from attrs import evolve

    got = rebuild(evolve(failure, pickled=b"not a pickle"), "node", None)
    assert got.cause is None
    assert str(got) == "node 'node' failed: ValueError: text"
    other = rebuild(evolve(failure, pickled=pickle.dumps("no error at all")), "node", None)
    assert other.cause is None


def test_a_node_error_itself_pickles():
    got = crossed(raised(ValueError("text")))
    again = pickle.loads(pickle.dumps(got))
    assert (again.node, str(again), again.traceback) == (got.node, str(got), got.traceback)


def test_groups_in_groups_are_shown_to_a_bounded_depth():
    error: Exception = ValueError("inmost")
    for at in range(400):
        error = ExceptionGroup(f"group {at}", [error] * 3)
    failure = capture(error, "run")
    assert failure.message.count("group 398") == 3
    assert failure.traceback.count("group 397") == 9
    assert "inmost" not in failure.traceback
