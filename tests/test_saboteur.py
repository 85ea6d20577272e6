"""The conformance kit fails a backend that breaks a rule: one saboteur of each kind, one broken rule at a time."""

from __future__ import annotations

import os
import pickle
import threading
from pathlib import Path

import pytest
from attrs import evolve

from kernel import Dataset
from kernel.errors import DatasetError
from kernel.hooks import Hooks
from kernel.specs.events import Log, Outcomes, State
from kernel.specs.executor import Reach
from kernel.testing import CatalogSuite, DatasetSuite, ExecutorSuite
from kernel.testing.bench import Bench
from kernel.testing.elsewhere import Elsewhere
from kernel.testing.ending import nothing_left
from kernel.testing.limits import time_limit
from kernel.testing.opened import Opened
from kernel_memory import MemoryCatalog
from kernel_process_pool import ProcessPoolExecutor
from kernel_threads import ThreadsExecutor

#: A broken rule that makes a test wait for ever is found out after this (seconds).
LIMIT_S = 3.0


class Saboteur:
    """Wraps something that works; what it does not break is handed on."""

    def __init__(self, good, broken):
        self.good = good
        self.broken = broken
        self.state = {}

    def __getattr__(self, name):
        return getattr(self.good, name)


def is_found_out(suite, test, *arguments):
    try:
        with time_limit(LIMIT_S):
            getattr(suite(), test)(*arguments)
    except (Exception, pytest.fail.Exception):
        return True
    return False


# -- executors ---------------------------------------------------------------------------------------------------


def edited(batch, **changes):
    columns = {name: getattr(batch, name) for name in Outcomes.__slots__ if name != "__weakref__"}
    return Outcomes(**{**columns, **changes})


class Sharing:
    """A store that gives every reader the very value that was saved, or that was loaded first."""

    def __init__(self, good):
        self.good = good

    def load(self, name, handle, last=False):
        return handle

    def __getattr__(self, name):
        return getattr(self.good, name)


#: What a saboteur shares with all others that it must not.
_RUNS = {}


class SaboteurExecutor(Saboteur):
    def start(self, program, workers):
        if self.broken == "skips hooks":
            program = evolve(program, hooks=Hooks(), listeners=())
        if self.broken == "shares values":
            program = evolve(program, store=Sharing(program.store))
        if self.broken == "keeps the first program":
            program = self.state.setdefault("program", program)
        if self.broken == "mixes up runs":
            program = _RUNS.setdefault("first", program)
        if self.broken == "forgets retries":
            program = evolve(program, details={at: evolve(d, retries=0) for at, d in program.details.items()})
        started = self.good.start(program, workers)
        return started + 7 if self.broken == "counts workers wrongly" else started

    def submit(self, tasks):
        if self.broken == "forgets time limits":
            tasks.timeouts = {}
        if self.broken == "forgets attempts":
            tasks.attempts = {}
        if self.broken == "gives turns back" and "given back" not in self.state:
            self.state["given back"] = Outcomes.without_result(0, tasks.index, State.CANCELLED)
            return
        self.good.submit(tasks)

    def wait(self, timeout=None):
        if self.state.get("given back"):
            back, self.state["given back"] = self.state["given back"], None
            return [back]
        if self.broken == "ignores the time to wait":
            timeout = None
        events = [self._edited(event) if isinstance(event, Outcomes) else event for event in self.good.wait(timeout)]
        if self.broken == "loses log records":
            events = [event for event in events if not isinstance(event, Log)]
        if self.broken == "loses an outcome":
            events = [event for event in events if not (isinstance(event, Outcomes) and 0 in event.index)]
        if self.broken == "doubles an outcome":
            events += [event for event in events if isinstance(event, Outcomes) and 0 in event.index]
        return events

    def _edited(self, batch):  # noqa: PLR0911 - one for each rule
        failed = dict(batch.failures)
        if self.broken == "swallows the traceback":
            failed = {at: evolve(failure, traceback="") for at, failure in failed.items()}
            return edited(batch, failures=failed)
        if self.broken == "swallows failures":
            return edited(batch, failures={}, states={})
        if self.broken == "drops notes":
            return edited(batch, notes={})
        if self.broken == "drops tokens":
            return edited(batch, tokens={})
        if self.broken == "mixes up outputs":
            return edited(batch, handles=[tuple(reversed(handles)) for handles in batch.handles])
        if self.broken == "numbers workers wrongly":
            return edited(batch, worker=batch.worker + 50)
        if self.broken == "miscounts attempts":
            return edited(batch, attempts={at: attempt + 1 for at, attempt in batch.attempts.items()})
        if self.broken == "mixes up times":
            return edited(batch, start=batch.end, end=batch.start)
        return batch

    def cancel(self, *, kill):
        if self.broken == "ignores cancel":
            return
        if self.broken == "swallows what it cancels":
            self.good.cancel(kill=kill)
            self.good._events.clear()
            return
        self.good.cancel(kill=kill and self.broken != "ignores kill")

    def wake(self):
        if self.broken != "ignores wake":
            self.good.wake()

    def shutdown(self, *, cancel=False):
        if self.broken == "leaves a thread":
            self.state["gate"] = gate = threading.Event()
            threading.Thread(target=gate.wait, args=(30,), daemon=True).start()
        if self.broken == "cannot be shut down twice" and "over" in self.state:
            raise RuntimeError("it was shut down already")
        self.state["over"] = True
        self.good.shutdown(cancel=cancel)


EXECUTOR_RULES = {
    "loses an outcome": "test_each_submitted_turn_yields_exactly_one_outcome",
    "doubles an outcome": "test_each_submitted_turn_yields_exactly_one_outcome",
    "counts workers wrongly": "test_start_says_how_many_workers_there_are",
    "swallows the traceback": "test_an_error_names_its_node_and_keeps_its_traceback",
    "swallows failures": "test_a_failed_turn_brings_its_error_and_no_handles",
    "drops notes": "test_what_a_node_notes_is_in_its_report",
    "drops tokens": "test_what_was_loaded_is_confirmed_once_its_node_is_done",
    "mixes up outputs": "test_handles_come_for_each_output_in_order",
    "numbers workers wrongly": "test_a_worker_runs_one_turn_at_a_time",
    "mixes up times": "test_three_hundred_small_nodes_each_bring_their_own_value",
    "forgets attempts": "test_the_number_of_the_attempt_comes_back",
    "forgets retries": "test_a_retry_loads_its_inputs_afresh",
    "skips hooks": "test_listeners_hear_of_workers_that_start_and_stop",
    "shares values": "test_the_last_of_two_readers_sees_what_was_made_even_if_both_change_it",
    "keeps the first program": "test_a_second_start_takes_up_another_program",
    "mixes up runs": "test_two_runs_at_once_do_not_disturb_each_other",
    "ignores the time to wait": "test_wait_returns_empty_when_nothing_comes_in_time",
    "ignores wake": "test_wake_makes_wait_return",
    "ignores cancel": "test_cancel_gives_back_each_turn_that_has_not_started",
    "swallows what it cancels": "test_cancel_gives_back_each_turn_that_has_not_started",
    "leaves a thread": "test_nothing_is_left_when_a_run_is_over",
    "cannot be shut down twice": "test_shutdown_may_come_twice_and_before_any_start",
}
KILL_RULES = {
    "forgets time limits": "test_a_node_that_takes_too_long_is_stopped_and_named",
    "ignores kill": "test_cancel_with_kill_interrupts_a_running_node",
    "loses log records": "test_log_records_of_a_node_reach_the_runner",
    "miscounts attempts": "test_what_runs_again_after_a_loss_says_so",
}


def sabotaged(good, broken, folder):
    made = []

    def factory():
        made.append(SaboteurExecutor(good(), broken))
        return made[-1]

    return Bench(factory, MemoryCatalog, folder), made


@pytest.mark.parametrize(
    ("good", "broken", "test"),
    [(ThreadsExecutor, *each) for each in EXECUTOR_RULES.items()]
    + [(ProcessPoolExecutor, *each) for each in KILL_RULES.items()],
    ids=[*EXECUTOR_RULES, *KILL_RULES],
)
def test_an_executor_that_breaks_a_rule_is_found_out(
    good, broken, test, tmp_path, tmp_path_factory, monkeypatch, caplog
):
    bench, made = sabotaged(good, broken, tmp_path)
    _RUNS.clear()
    arguments = [bench]
    if broken == "loses log records":
        arguments += [caplog]
    if test == "test_nothing_is_left_when_a_run_is_over":
        monkeypatch.setattr("kernel.testing.ending._PATIENCE_S", 0.5)
        arguments += [tmp_path_factory, monkeypatch]
    try:
        assert is_found_out(ExecutorSuite, test, *arguments)
    finally:
        bench.open_gate()
        for each in made:
            if "gate" in each.state:
                each.state["gate"].set()
            each.good.shutdown(cancel=True)


@pytest.mark.parametrize("what", ["nothing", "gives turns back"])  # which it may
@pytest.mark.parametrize("test", sorted({*EXECUTOR_RULES.values()} - {"test_nothing_is_left_when_a_run_is_over"}))
def test_an_executor_that_breaks_none_is_not(test, what, tmp_path):
    bench, _ = sabotaged(ThreadsExecutor, what, tmp_path)
    getattr(ExecutorSuite(), test)(bench)
    bench.close()


def test_a_thread_that_ends_meanwhile_hides_none_that_is_left(monkeypatch):
    monkeypatch.setattr("kernel.testing.ending._PATIENCE_S", 0.5)
    first, second = threading.Event(), threading.Event()
    ends, stays = threading.Thread(target=first.wait), threading.Thread(target=second.wait)

    def one_for_another():
        stays.start()
        first.set()
        ends.join()

    ends.start()
    try:
        with pytest.raises(pytest.fail.Exception, match="threads"), nothing_left():
            one_for_another()
    finally:
        second.set()
        stays.join()


# -- catalogs ----------------------------------------------------------------------------------------------------


class SaboteurStore(Saboteur):
    def __reduce__(self):
        return SaboteurStore, (self.good, self.broken)

    def save(self, name, data):
        if self.broken == "keeps no copy":
            return data
        if self.broken == "cannot keep None" and data is None:
            raise ValueError("no value")
        if self.broken == "names no dataset":
            try:
                return self.good.save(name, data)
            except DatasetError:
                raise DatasetError("something cannot be saved") from None
        if self.broken == "makes handles that cannot be sent":
            return lambda: data
        return self.good.save(name, data)

    def load(self, name, handle, last=False):
        if self.broken == "shares one value":
            return handle
        if self.broken == "makes handles that cannot be sent":
            return handle()
        value = self.good.load(name, handle, last)
        return list(value) if self.broken == "changes types" and isinstance(value, set) else value


class SaboteurCatalog(Saboteur):
    def validate_catalog(self, names, values, reach, readers):
        if self.broken != "refuses nothing":
            self.good.validate_catalog(names, values, reach, readers)

    def open(self, copy_modes, reach, workers):
        if self.broken == "ignores copy modes":
            copy_modes = {}
        if self.broken == "leaks a descriptor":
            self.state["fd"] = os.open(os.devnull, os.O_RDONLY)
        return SaboteurStore(self.good.open(copy_modes, reach, workers), self.broken)

    def adopt(self, names, handles):
        names, handles = list(names), list(handles)
        if self.broken == "keeps stale handles":
            fresh = [(name, handle) for name, handle in zip(names, handles, strict=True) if name not in self.state]
            self.state.update(fresh)
            names, handles = [name for name, _ in fresh], [handle for _, handle in fresh]
        if self.broken == "keeps memory":
            self.state.setdefault("kept", []).extend(handles)
        self.good.adopt(names, handles)

    def release(self, names):
        if self.broken != "ignores release":
            self.good.release(names)

    def discard(self, handles):
        if self.broken == "discards all":
            self.good._handles.clear()

    def settle(self, keep):
        if self.broken == "settles nothing":
            return
        self.good.settle(() if self.broken == "keeps nothing" else keep)

    def close(self):
        if self.broken == "cannot be closed twice" and "over" in self.state:
            raise RuntimeError("it was closed already")
        self.state["over"] = True
        self.good.close()


KIND = {"kind": "list"}
CATALOG_RULES = {
    "keeps no copy": ("test_a_value_is_kept_as_it_was_when_it_was_saved", Reach.THREAD, KIND),
    "shares one value": ("test_each_reader_gets_a_value_of_its_own", Reach.THREAD, KIND),
    "changes types": ("test_what_was_saved_is_loaded", Reach.THREAD, {"kind": "set"}),
    "cannot keep None": ("test_what_was_saved_is_loaded", Reach.THREAD, {"kind": "None"}),
    "ignores copy modes": ("test_a_value_that_is_assigned_is_the_very_object", Reach.THREAD, {}),
    "keeps stale handles": ("test_a_second_value_of_a_name_takes_the_place_of_the_first", Reach.THREAD, KIND),
    "ignores release": ("test_a_value_that_was_released_is_gone_and_the_error_names_it", Reach.THREAD, KIND),
    "keeps memory": ("test_releasing_a_value_lets_it_go", Reach.THREAD, {}),
    "discards all": ("test_discarding_leaves_what_was_adopted_alone", Reach.THREAD, KIND),
    "settles nothing": ("test_settling_keeps_what_is_asked_for_and_drops_the_rest", Reach.THREAD, KIND),
    "keeps nothing": ("test_settling_keeps_what_is_asked_for_and_drops_the_rest", Reach.THREAD, KIND),
    "cannot be closed twice": ("test_closing_may_come_twice_and_before_opening", Reach.THREAD, {}),
    "leaks a descriptor": ("test_nothing_is_left_when_a_catalog_is_closed", Reach.THREAD, {}),
    "refuses nothing": ("test_all_inputs_that_cannot_be_sent_are_named_at_once", Reach.PROCESS, {}),
    "names no dataset": ("test_a_value_that_nobody_can_copy_is_refused_and_named", Reach.PROCESS, {}),
    "makes handles that cannot be sent": ("test_handles_and_stores_can_be_sent", Reach.PROCESS, {}),
}


def run_catalog_rule(test, reach, parameters, broken):
    made = []

    def factory():
        made.append(SaboteurCatalog(MemoryCatalog(), broken))
        return made[-1]

    suite = type("Suite", (CatalogSuite,), {"reach": reach})
    check = getattr(suite(), test)
    names = check.__code__.co_varnames[: check.__code__.co_argcount]
    given = {**parameters}
    if "catalog_factory" in names:
        given["catalog_factory"] = factory
    if "opened" in names:
        given["opened"] = Opened(factory(), reach)
    try:
        with time_limit(10 * LIMIT_S):
            check(**given)
    finally:
        for each in made:
            if "fd" in each.state:
                os.close(each.state["fd"])


@pytest.mark.parametrize("broken", CATALOG_RULES)
def test_a_catalog_that_breaks_a_rule_is_found_out(broken, monkeypatch):
    monkeypatch.setattr("kernel.testing.ending._PATIENCE_S", 0.5)
    with pytest.raises((Exception, pytest.fail.Exception)):
        run_catalog_rule(*CATALOG_RULES[broken], broken)


@pytest.mark.parametrize("broken", CATALOG_RULES)
def test_a_catalog_that_breaks_none_is_not(broken):
    run_catalog_rule(*CATALOG_RULES[broken], "nothing")


# -- dataset types -----------------------------------------------------------------------------------------------


class SaboteurDataset(Dataset):
    """A pickle in a file, and one broken rule; versions are files beside it."""

    def __init__(self, path, broken, version=None, credentials=None):
        self.path, self.broken = Path(path), broken
        self.version, self.credentials = version, credentials
        self.cached = None
        if broken == "makes its file at once":
            self.path.touch()
        if broken == "cannot be sent":
            self.lock = threading.Lock()

    def _versions(self):
        return sorted(found.suffix[1:] for found in self.path.parent.glob(f"{self.path.name}.*"))

    def newest_version(self):
        return next(reversed(self._versions()), None) if self.version is not None else None

    def _source(self):
        if self.version is None:
            return self.path
        wanted = self.version.load or self.newest_version() or "none"
        if self.broken == "ignores versions":
            wanted = self.newest_version() or "none"
        return self.path.with_name(f"{self.path.name}.{wanted}")

    def load(self):
        if self.broken == "caches for ever" and self.cached is not None:
            return self.cached
        if not self._source().exists() and self.broken == "makes up what is not there":
            return []
        if not self._source().exists():
            from kernel.errors import VersionNotFoundError

            kind = DatasetError if self.version is None else VersionNotFoundError
            raise kind(f"nothing is there{' for ' + str(self.credentials) if self.broken == 'tells secrets' else ''}")
        self.cached = pickle.loads(self._source().read_bytes())
        return self.cached

    def save(self, data):
        target = self.path
        if self.version is not None:
            target = self.path.with_name(f"{self.path.name}.{self.version.save}")
            if target.exists() and self.broken != "saves a version twice":
                raise DatasetError("this version is there already")
        if self.broken == "saves the first only" and target.exists():
            return
        if self.broken == "truncates first":
            target.write_bytes(b"")
        whole = pickle.dumps(data, 5)
        if self.broken == "saves in pieces":
            with target.open("wb", buffering=0) as file:
                for at in range(0, len(whole), 100):
                    file.write(whole[at : at + 100])
            return
        partial = target.with_name(f"partial-{os.getpid()}")
        partial.write_bytes(whole)
        partial.replace(target)
        self.cached = None if self.broken != "caches for ever" else data

    def exists(self):
        return {"always exists": True, "never exists": False}.get(self.broken, self._source().exists())

    def release(self):
        if self.broken == "deletes on release":
            self.path.unlink(missing_ok=True)

    def describe(self):
        return "" if self.broken == "says nothing of itself" else str(self.path)


DATASET_RULES = {
    "saves the first only": "test_the_last_save_counts",
    "always exists": "test_it_exists_once_it_was_saved",
    "never exists": "test_it_exists_once_it_was_saved",
    "makes up what is not there": "test_loading_what_is_not_there_is_an_error_that_names_it",
    "truncates first": "test_a_save_that_fails_leaves_what_was_there",
    "deletes on release": "test_releasing_drops_nothing_that_was_saved",
    "caches for ever": "test_another_object_finds_what_was_saved",
    "cannot be sent": "test_it_can_be_sent_to_another_process",
    "saves in pieces": "test_a_reader_sees_the_old_or_the_new_while_another_process_saves",
    "makes its file at once": "test_making_one_touches_nothing",
    "says nothing of itself": "test_it_says_in_a_line_where_it_is",
    "tells secrets": "test_it_tells_no_secrets",
    "ignores versions": "test_each_version_is_kept",
    "saves a version twice": "test_a_version_is_saved_once",
}
VALUES = [list(range(20_000)), {"another": "x" * 200_000}]


@pytest.fixture(scope="module")
def elsewhere():
    other = Elsewhere()
    yield other
    other.close()


def run_dataset_rule(test, broken, folder, elsewhere):
    suite = type("Suite", (DatasetSuite,), {"keeps_versions": True, "takes_credentials": True})
    check = getattr(suite(), test)
    given = {
        "make_dataset": lambda **options: SaboteurDataset(folder / "it", broken, **options),
        "values": VALUES,
        "elsewhere": elsewhere,
    }
    names = check.__code__.co_varnames[1 : check.__code__.co_argcount]
    with time_limit(10 * LIMIT_S):
        check(**{name: given[name] for name in names})


@pytest.mark.parametrize(("broken", "test"), DATASET_RULES.items(), ids=DATASET_RULES)
def test_a_dataset_type_that_breaks_a_rule_is_found_out(broken, test, tmp_path, elsewhere):
    with pytest.raises((Exception, pytest.fail.Exception)):
        run_dataset_rule(test, broken, tmp_path, elsewhere)


@pytest.mark.parametrize("test", DATASET_RULES.values(), ids=DATASET_RULES)
def test_a_dataset_type_that_breaks_none_is_not(test, tmp_path, elsewhere):
    run_dataset_rule(test, "nothing", tmp_path, elsewhere)
