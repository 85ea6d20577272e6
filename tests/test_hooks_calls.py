"""Hooks: who is called, in which order, and who is named when it goes wrong."""

from __future__ import annotations

import functools

import pytest

from kernel.errors import HookError, PluginError
from kernel.hooks import HOOKS, Hooks, Listener
from kernel.specs.markers import hookimpl


class Recorder:
    def __init__(self):
        self.seen = []

    @hookimpl
    def on_task_submitted(self, node, attempt):
        self.seen.append((node, attempt))


class Replaces:
    def __init__(self, answer):
        self.answer = answer

    @hookimpl
    def before_node_run(self, inputs):
        return self.answer


class Breaks:
    def __init__(self, error):
        self.error = error

    @hookimpl
    def on_task_submitted(self, node):
        if self.error is not None:
            raise self.error


def through(function):
    @functools.wraps(function)
    def passed(*args, **kwargs):
        return function(*args, **kwargs)

    return passed


class Decorated:
    @hookimpl
    @through
    def on_task_submitted(self, node):
        pass


class DecoratedBreaks:
    @hookimpl
    @through
    def on_task_submitted(self, node):
        raise ValueError("inside a decorated one")


class Wraps:
    def __init__(self):
        self.saw = None

    @hookimpl(wrapper=True)
    def on_task_submitted(self, node):
        try:
            return (yield)
        except Exception as error:
            self.saw = error
            raise


class WrapsOldStyle:
    @hookimpl(hookwrapper=True)
    def before_node_run(self, inputs):
        outcome = yield
        outcome.force_result([{"a": "wrapped"}])


BEFORE = dict(node=None, catalog=None, inputs={"a": 1}, is_async=False, run_id="r")


def test_a_hook_without_listeners_is_none_and_one_with_a_listener_is_called():
    recorder = Recorder()
    hooks = Hooks([Listener("recorder", recorder)])
    assert {name for name in HOOKS if getattr(hooks, name) is not None} == {"on_task_submitted"}
    hooks.on_task_submitted(node="n", attempt=2)
    assert recorder.seen == [("n", 2)]


def test_without_listeners_every_hook_is_none():
    hooks = Hooks()
    assert all(getattr(hooks, name) is None for name in HOOKS)
    assert hooks.worker_refs() == ()


def test_every_declared_hook_is_an_attribute_of_hooks():
    attributes = {name for name in dir(Hooks) if not name.startswith("_")}
    assert attributes - {"merge_inputs", "worker_refs", "from_refs"} == HOOKS


def test_a_class_is_built_once_and_keeps_its_state_between_calls():
    listener = Listener("recorder", Recorder)
    hooks = Hooks([listener])
    hooks.on_task_submitted(node="a", attempt=1)
    Hooks([listener]).on_task_submitted(node="b", attempt=1)
    assert listener.plugin.seen == [("a", 1), ("b", 1)]


def test_a_class_that_needs_arguments_is_refused_with_its_name():
    with pytest.raises(PluginError, match="listener 'r' is the class Replaces, which cannot be built without"):
        Listener("r", Replaces)


def test_the_listener_registered_first_wins_over_later_ones():
    first, second = (
        Listener("first", Replaces({"a": 1, "b": 1})),
        Listener("second", Replaces({"b": 2, "c": 2})),
    )
    hooks = Hooks([first, Listener("silent", Replaces(None)), second])
    assert hooks.merge_inputs(hooks.before_node_run(**BEFORE), "n") == {"a": 1, "b": 1, "c": 2}


def test_replaced_inputs_that_are_no_dict_name_listener_node_and_type():
    hooks = Hooks([Listener("odd", Replaces([1]), "odd-dist")])
    with pytest.raises(HookError) as caught:
        hooks.merge_inputs(hooks.before_node_run(**BEFORE), "clean")
    assert (caught.value.listener, caught.value.distribution) == ("odd", "odd-dist")
    assert "TypeError: for node 'clean' it returned a list" in str(caught.value)


def test_replaced_inputs_that_the_node_has_not_name_listener_and_node_and_the_inputs_there_are():
    hooks = Hooks([Listener("odd", Replaces({"a": 1, "z": 2}), "odd-dist")])
    with pytest.raises(
        HookError, match="it returned 'z', which is no input of node 'clean'; its inputs are 'a', 'b'"
    ) as caught:
        hooks.merge_inputs(hooks.before_node_run(**BEFORE), "clean", ("a", "b"))
    assert (caught.value.listener, caught.value.distribution) == ("odd", "odd-dist")


def test_an_old_style_wrapper_can_force_the_answers():
    hooks = Hooks([Listener("wraps", WrapsOldStyle()), Listener("other", Replaces({"a": 2}))])
    assert hooks.merge_inputs(hooks.before_node_run(**BEFORE), "n") == {"a": "wrapped"}


def test_a_first_result_hook_gives_the_first_answer():
    class Says:
        def __init__(self, answer):
            self.answer = answer

        @hookimpl
        def required_workers(self, asked):
            return self.answer

    hooks = Hooks([Listener("three", Says(3)), Listener("none", Says(None))])
    assert hooks.required_workers(pipeline=None, asked=None) == 3


def test_an_exception_names_hook_listener_distribution_and_keeps_its_cause():
    original = ValueError("no disk")
    hooks = Hooks([Listener("fine", Recorder()), Listener("bad", Breaks(original), "bad-dist")])
    with pytest.raises(HookError) as caught:
        hooks.on_task_submitted(node="n", attempt=1)
    error = caught.value
    assert (error.hook, error.listener, error.distribution) == ("on_task_submitted", "bad", "bad-dist")
    assert error.problem == "ValueError: no disk"
    assert error.__cause__ is original
    assert "--no-plugin bad" in str(error)


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_of_several_instances_of_one_class_the_one_that_raised_is_named(bad):
    listeners = [Listener(f"l{i}", Breaks(OSError("x") if i == bad else None)) for i in range(3)]
    with pytest.raises(HookError) as caught:
        Hooks(listeners).on_task_submitted(node="n", attempt=1)
    assert caught.value.listener == f"l{bad}"


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_listeners_behind_one_decorator_the_one_that_raised_is_named(order):
    listeners = [Listener("fine", Decorated()), Listener("bad", DecoratedBreaks())][::order]
    with pytest.raises(HookError) as caught:
        Hooks(listeners).on_task_submitted(node="n", attempt=1)
    assert caught.value.listener == "bad"


def test_a_wrapper_sees_the_error_of_an_inner_listener_and_is_not_blamed_for_it():
    wraps, original = Wraps(), KeyError("k")
    hooks = Hooks([Listener("wraps", wraps), Listener("bad", Breaks(original))])
    with pytest.raises(HookError) as caught:
        hooks.on_task_submitted(node="n", attempt=1)
    assert caught.value.listener == "bad"
    assert wraps.saw is original


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit])
def test_a_request_to_stop_passes_through_untouched(stop):
    with pytest.raises(stop):
        Hooks([Listener("stops", Breaks(stop()))]).on_task_submitted(node="n", attempt=1)


def test_an_unknown_hook_is_refused_with_listener_distribution_suggestion_and_flag():
    class Typo:
        @hookimpl
        def before_node_runs(self, node): ...

    with pytest.raises(PluginError) as caught:
        Hooks([Listener("typo", Typo(), "typo-dist")])
    text = str(caught.value)
    for part in (
        "'typo'",
        "'typo-dist'",
        "'before_node_runs'",
        "Did you mean 'before_node_run'?",
        "--no-plugin typo",
    ):
        assert part in text


def test_an_optional_unknown_hook_is_let_through():
    class Newer:
        @hookimpl(optionalhook=True)
        def on_moon_landing(self, crew): ...

        @hookimpl
        def on_task_submitted(self, node): ...

    assert Hooks([Listener("newer", Newer())]).on_task_submitted is not None


def test_wrong_arguments_of_all_listeners_are_refused_in_one_error():
    class Asks:
        @hookimpl
        def after_node_run(self, node, results): ...

    class AsksToo:
        @hookimpl(specname="on_task_done")
        def done(self, nodes): ...

    with pytest.raises(PluginError) as caught:
        Hooks([Listener("asks", Asks(), "asks-dist"), Listener("asks_too", AsksToo())])
    first, second = str(caught.value).splitlines()
    for part in ("'asks'", "'asks-dist'", "'after_node_run'", "'results'", "outputs", "--no-plugin asks"):
        assert part in first
    assert "'on_task_done'" in second
    assert "--no-plugin" not in second, "what was given in code cannot be blocked by name"


def test_an_argument_with_a_default_may_be_unknown_to_the_hook():
    class Future:
        @hookimpl
        def on_task_submitted(self, node, colour="red"):
            assert colour == "red"

    Hooks([Listener("future", Future())]).on_task_submitted(node="n", attempt=1)


def test_a_wrapper_that_does_not_yield_is_refused():
    class NoYield:
        @hookimpl(wrapper=True)
        def on_task_submitted(self, node): ...

    with pytest.raises(PluginError, match=r"listener 'w' of distribution 'd' .*generator.*--no-plugin w"):
        Hooks([Listener("w", NoYield(), "d")])


def test_the_same_object_twice_is_refused():
    recorder = Recorder()
    with pytest.raises(PluginError, match="listener 'b' was given twice"):
        Hooks([Listener("a", recorder), Listener("b", recorder)])


def test_a_listener_that_listens_to_nothing_is_warned_about():
    class Forgot:
        def before_node_run(self, node): ...

    with pytest.warns(UserWarning, match="'forgot' listens to no hook: mark its methods") as warned:
        Hooks([Listener("forgot", Forgot())])
    assert warned[0].filename == __file__
