"""What a node sees of its caller, on every executor and start method: the cells of the table in docs/caller.md."""

from __future__ import annotations

import contextvars
import decimal
import importlib
import locale
import multiprocessing
import os
import random
import sys
import threading
import warnings

import numpy as np
import pytest

from kernel import MemoryDataset, Runner, node, pipeline, run

#: What is said of a place where nodes run -> the executor and its options.
PLACES = {
    "sequential": ("sequential", {}),
    "threads": ("threads", {"workers": 1}),
    "forkserver": ("process_pool", {"workers": 1, "start_method": "forkserver"}),
    "spawn": ("process_pool", {"workers": 1, "start_method": "spawn"}),
    "fork": ("process_pool", {"workers": 1, "start_method": "fork"}),
    "futures": ("futures", {"workers": 1}),
}
AT_HOME = ("sequential", "threads")
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

REQUEST = contextvars.ContextVar("request", default="nobody")
CONSTANT = ["as it is at import"]


@pytest.fixture(scope="module")
def queue():
    """Return a queue of a manager, whose proxies say who they are by the caller's key."""
    with multiprocessing.get_context("spawn").Manager() as manager:
        yield manager.Queue()


@pytest.fixture(scope="module", params=PLACES)
def place(request):
    return request.param


@pytest.fixture(scope="module")
def warm(place):
    """Return what runs a function as a node, on one warm runner for all tests: each sees the caller as it is then."""
    executor, options = PLACES[place]
    with Runner(executor, **options) as runner:

        def ask(function, given=1):
            value = MemoryDataset(given, copy_mode="assign") if not isinstance(given, int) else given
            return runner.run(pipeline([node(function, "x", "y", name="ask")]), {"x": value})["y"]

        ask(abs)
        yield ask


# -- the process ------------------------------------------------------------------------------------------------------


def variables(_):
    return [os.environ.get(name, "none") for name in ("CALLER_ONE", "CALLER_TWO")]


def test_the_environment_is_the_callers_at_each_run(warm, monkeypatch):
    monkeypatch.setenv("CALLER_ONE", "a")
    assert warm(variables) == ["a", "none"]
    monkeypatch.setenv("CALLER_ONE", "b")
    monkeypatch.setenv("CALLER_TWO", "ü")
    assert warm(variables) == ["b", "ü"]
    monkeypatch.delenv("CALLER_ONE")
    assert warm(variables) == ["none", "ü"]


def folder(_):
    return os.getcwd()  # noqa: PTH109 - as the system says


def test_the_working_directory_is_the_callers_at_each_run(warm, tmp_path, monkeypatch):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        assert warm(folder) == str(tmp_path / name)


def search_path(_):
    return list(sys.path)


def test_modules_are_searched_where_the_caller_searches_at_each_run(warm, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    assert warm(search_path) == sys.path
    monkeypatch.undo()
    assert str(tmp_path) not in warm(search_path)


def recursion_limit(_):
    return sys.getrecursionlimit()


def test_the_recursion_limit_is_the_callers_at_each_run(warm):
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + 777)
    try:
        assert warm(recursion_limit) == before + 777
    finally:
        sys.setrecursionlimit(before)
    assert warm(recursion_limit) == before


def ctype(_):
    return locale.setlocale(locale.LC_CTYPE)


def test_the_locale_is_the_callers_at_each_run(warm):
    before = locale.setlocale(locale.LC_CTYPE)
    try:
        for wanted in ("C", "C.UTF-8"):
            locale.setlocale(locale.LC_CTYPE, wanted)
            assert warm(ctype) == locale.setlocale(locale.LC_CTYPE)
    finally:
        locale.setlocale(locale.LC_CTYPE, before)


def tell(queue):
    queue.put(os.getpid())
    return 1


def test_a_managers_queue_as_an_input_works(queue, warm, place):
    assert warm(tell, queue) == 1
    assert (queue.get(timeout=30) == os.getpid()) == (place in AT_HOME)


# -- the context ------------------------------------------------------------------------------------------------------


def request(_):
    return str(REQUEST.get())


def test_context_variables_are_the_callers_at_each_run(warm):
    assert warm(request) == "nobody"
    for name in ("r-17", "r-18"):
        token = REQUEST.set(name)
        try:
            assert warm(request) == name
        finally:
            REQUEST.reset(token)
    assert warm(request) == "nobody"


def test_a_context_variable_whose_value_cannot_be_pickled_stays_at_home(warm, place):
    lock = threading.Lock()
    token = REQUEST.set(lock)
    try:
        assert warm(request) == (str(lock) if place in AT_HOME else "nobody")
    finally:
        REQUEST.reset(token)


def sets_request(x):
    REQUEST.set("the node's own")
    return x


def test_what_a_node_sets_in_its_context_is_gone_with_the_next_run(warm, place):
    token = REQUEST.set("nobody")
    try:
        warm(sets_request)
        assert warm(request) == ("nobody" if place != "sequential" else "the node's own")
    finally:
        REQUEST.reset(token)  # not set at all: else workers of other tests would load this module for it


def digits(x):
    return len(str(decimal.Decimal(x) / 3)) - 2


def test_decimals_are_reckoned_as_by_the_caller_at_each_run(warm):
    with decimal.localcontext(prec=50):
        assert warm(digits) == 50
    assert warm(digits) == 28


def sets_precision(x):
    decimal.getcontext().prec = 5
    return x


def test_a_node_in_a_thread_does_not_change_how_the_caller_reckons():
    with Runner("threads", workers=2) as runner:
        runner.run(pipeline([node(sets_precision, "x", "y")]), {"x": 1})
    assert decimal.getcontext().prec == 28


def divides(x):
    try:
        return str(np.array([float(x)]) / np.array([0.0]))
    except FloatingPointError:
        return "raised"


def test_numpy_takes_errors_as_the_caller_says_at_each_run(warm):
    with np.errstate(divide="raise"):
        assert warm(divides) == "raised"
    with np.errstate(divide="ignore"):
        assert warm(divides) == "[inf]"


# -- warnings ---------------------------------------------------------------------------------------------------------


class OwnWarning(UserWarning):
    """A category of the project's own."""


def warns(_):
    try:
        warnings.warn("soon gone", OwnWarning, stacklevel=1)
    except OwnWarning:
        return "raised"
    return "warned"


def test_filters_of_warnings_are_the_callers_at_each_run(warm):
    with warnings.catch_warnings():
        warnings.simplefilter("error", OwnWarning)
        assert warm(warns) == "raised"
        warnings.simplefilter("ignore", OwnWarning)
        assert warm(warns) == "warned"


@pytest.mark.parametrize(("action", "times"), [("always", 2), ("default", 1)])
def test_a_caller_that_records_warnings_records_those_of_nodes(warm, action, times):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter(action, OwnWarning)
        warm(warns)
        warm(warns)
    assert [(each.category, str(each.message), each.filename) for each in caught] == [
        (OwnWarning, "soon gone", __file__)
    ] * times


def test_a_warning_that_many_workers_meet_is_shown_once():
    steps = [node(warns, "x", f"y{at}", name=f"n{at}") for at in range(20)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        run(pipeline(steps), {"x": 1}, executor="process_pool", workers=2)
    assert len(caught) == 1


# -- what differs -----------------------------------------------------------------------------------------------------


def draws(_):
    return random.random()


def test_workers_have_random_generators_of_their_own(warm, place):
    random.seed(5)
    first = random.random()
    random.seed(5)
    assert (warm(draws) == first) == (place in AT_HOME)


def constant(_):
    return CONSTANT[0]


def test_what_the_caller_changed_in_a_module_is_seen_where_the_module_is_the_callers(place):
    executor, options = PLACES[place]
    CONSTANT[0] = "changed by the caller"
    try:
        seen = run(pipeline([node(constant, "x", "y")]), {"x": 1}, executor=executor, **options)["y"]
    finally:
        CONSTANT[0] = "as it is at import"
    expected = "changed by the caller" if place in (*AT_HOME, "fork") else "as it is at import"
    assert seen == expected


# -- code -------------------------------------------------------------------------------------------------------------


def test_code_that_was_loaded_again_is_what_runs(warm, place, tmp_path, monkeypatch):
    name = f"edited_for_{place}"
    (tmp_path / f"{name}_helper.py").write_text("WORD = 'old'\n")
    (tmp_path / f"{name}.py").write_text(f"import {name}_helper\n\ndef f(_):\n    return {name}_helper.WORD\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    module, helper = importlib.import_module(name), importlib.import_module(f"{name}_helper")
    assert warm(module.f) == "old"
    (tmp_path / f"{name}_helper.py").write_text("WORD = 'of another length'\n")
    importlib.invalidate_caches()
    importlib.reload(helper)
    assert warm(module.f) == "of another length"
    (tmp_path / f"{name}.py").write_text("def f(_):\n    return 'new'\n")
    importlib.reload(module)
    assert warm(module.f) == "new"


def pid(_):
    return os.getpid()


def test_workers_stay_where_no_code_was_loaded_again(warm):
    assert warm(pid) == warm(pid)
