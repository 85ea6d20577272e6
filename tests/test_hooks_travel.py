"""Listeners on their way to workers: by name or by value."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
import textwrap
import threading

import cloudpickle
import pytest

from kernel.errors import PluginError
from kernel.hooks import Hooks, Listener, unpicklable
from kernel.specs.markers import hookimpl
from kernel.specs.tasks import ListenerRef


class InWorkers:
    def __init__(self):
        self.calls = 0

    @hookimpl
    def before_dataset_loaded(self, dataset_name):
        self.calls += 1


class InTheRunner:
    @hookimpl
    def before_pipeline_run(self, run_params): ...


class Outer:
    class Inner(InWorkers): ...


@pytest.fixture
def module(tmp_path, monkeypatch):
    source = """
        from kernel.specs.markers import hookimpl

        class Counts:
            calls = 0

            @hookimpl
            def after_worker_start(self, worker):
                self.calls += 1

        ready = Counts()

        @hookimpl
        def before_worker_stop(worker): ...
    """
    (tmp_path / "a_listening_module.py").write_text(textwrap.dedent(source))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("a_listening_module")
    del sys.modules["a_listening_module"]


def refs(*listeners):
    return Hooks(listeners).worker_refs()


def test_only_listeners_with_a_hook_of_workers_travel_and_their_order_stays():
    found = refs(Listener("a", InWorkers), Listener("runner", InTheRunner), Listener("b", InWorkers()))
    assert [ref.name for ref in found] == ["a", "b"]


def test_a_class_and_a_module_travel_by_name(module):
    found = refs(Listener("class", module.Counts), Listener("nested", Outer.Inner), Listener("module", module))
    nested = f"{__name__}:Outer.Inner"
    assert [ref.target for ref in found] == ["a_listening_module:Counts", nested, "a_listening_module"]
    arrived = Hooks.from_refs(pickle.loads(pickle.dumps(found)))
    arrived.after_worker_start(worker=0, run_id="r")
    arrived.before_worker_stop(worker=0, run_id="r")
    assert arrived.listeners[0].plugin.calls == 1


def test_an_entry_points_object_travels_by_its_name(module):
    given = Listener("ready", module.ready, "some-dist", "a_listening_module:ready")
    (ref,) = refs(given)
    assert ref == ListenerRef("ready", "a_listening_module:ready", "some-dist")
    (arrived,) = Hooks.from_refs([ref]).listeners
    assert arrived.plugin is module.ready
    assert arrived.distribution == "some-dist"


def test_an_object_given_in_code_travels_by_value_with_its_state():
    listener = InWorkers()
    listener.calls = 5
    (ref,) = refs(Listener("mine", listener))
    assert ref.target is listener
    (arrived,) = Hooks.from_refs(pickle.loads(cloudpickle.dumps((ref,)))).listeners
    assert arrived.plugin is not listener
    assert arrived.plugin.calls == 5


def test_a_local_class_travels_by_value():
    class Local(InWorkers): ...

    (ref,) = refs(Listener("local", Local))
    assert isinstance(ref.target, Local)
    assert unpicklable([ref]) == []


def test_a_listener_of_the_main_script_arrives_in_another_process(tmp_path):
    payload = tmp_path / "refs.pickle"
    script = f"""
        import cloudpickle, sys
        from kernel.hooks import Hooks, Listener
        from kernel.specs.markers import hookimpl

        class Mine:
            @hookimpl
            def after_worker_start(self, worker):
                print("worker", worker)

        refs = Hooks([Listener("mine", Mine)]).worker_refs()
        open({str(payload)!r}, "wb").write(cloudpickle.dumps(refs))
    """
    arrive = f"""
        import pickle
        from kernel.hooks import Hooks

        refs = pickle.loads(open({str(payload)!r}, "rb").read())
        Hooks.from_refs(refs).after_worker_start(worker=3, run_id="r")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(arrive)], check=True, capture_output=True, text=True)
    assert done.stdout == "worker 3\n"


def test_a_listener_that_cannot_be_pickled_is_named_with_its_cause():
    holds = InWorkers()
    holds.lock = threading.Lock()
    (problem,) = unpicklable(refs(Listener("fine", InWorkers), Listener("holds", holds, "holder-dist")))
    assert "'holds' of distribution 'holder-dist' cannot be sent to workers" in problem
    assert "lock" in problem


def test_the_main_module_as_a_listener_is_a_problem_of_its_own():
    (problem,) = unpicklable([ListenerRef("script", sys.modules["__main__"])])
    assert "it is the module '__main__'" in problem


@pytest.mark.parametrize("target", ["no_such_module_here:X", f"{__name__}:Gone"])
def test_a_listener_that_a_worker_cannot_import_is_named_with_its_target(target):
    with pytest.raises(PluginError) as caught:
        Hooks.from_refs([ListenerRef("far", target, "far-dist")])
    for part in ("'far'", "'far-dist'", repr(target), "Error:"):
        assert part in str(caught.value)


def test_building_hooks_imports_neither_metadata_nor_stevedore_nor_click():
    script = """
        import sys
        from kernel.hooks import Hooks, Listener
        from kernel.specs.markers import hookimpl

        class Mine:
            @hookimpl
            def after_worker_start(self, worker): ...

        Hooks([Listener("mine", Mine)])
        unwanted = {"stevedore", "click", "importlib.metadata", "difflib"}
        print(sorted(unwanted & set(sys.modules)))
    """
    command = [sys.executable, "-c", textwrap.dedent(script)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout == "[]\n"
