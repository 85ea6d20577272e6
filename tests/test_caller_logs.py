"""Log records of nodes: the caller's levels say which there are, and its handlers get each of them once."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import warnings
from contextlib import contextmanager

import pytest
from attrs import frozen

from kernel import Runner, node, pipeline
from kernel_process_pool.outbox import Outbox

PLACES = {
    "sequential": ("sequential", {}),
    "threads": ("threads", {"workers": 1}),
    "forkserver": ("process_pool", {"workers": 1, "start_method": "forkserver"}),
    "spawn": ("process_pool", {"workers": 1, "start_method": "spawn"}),
    "fork": ("process_pool", {"workers": 1, "start_method": "fork"}),
    "futures": ("futures", {"workers": 1}),
}
AT_HOME = ("sequential", "threads")
IN_POOL = ("forkserver", "spawn", "fork")
pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")


class Keep(logging.Handler):
    """Keeps records, with the process that they were handled in."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        if not record.name.startswith("kernel"):
            self.records.append(record)

    def said(self):
        found = [(record.name, record.levelname, record.getMessage()) for record in self.records]
        self.records.clear()
        return found


@contextmanager
def handler_of(name, *, propagate=True):
    logger, keep = logging.getLogger(name), Keep()
    logger.addHandler(keep)
    logger.propagate = propagate
    try:
        yield keep
    finally:
        logger.removeHandler(keep)
        logger.propagate = True


@contextmanager
def levels(**wanted):
    for name, level in wanted.items():
        logging.getLogger(name.replace("__", ".")).setLevel(level)
    try:
        yield
    finally:
        for name in wanted:
            logging.getLogger(name.replace("__", ".")).setLevel(logging.NOTSET)


#: These have their handlers before there is any worker: a fork has copies of them.
EARLY = ("calls.apart", "calls.both")


@pytest.fixture(scope="module", params=PLACES)
def place(request):
    return request.param


@pytest.fixture(scope="module")
def early():
    with handler_of(EARLY[0], propagate=False) as apart, handler_of(EARLY[1]) as both:
        yield apart, both


@pytest.fixture(scope="module")
def warm(place, early):
    executor, options = PLACES[place]
    with Runner(executor, **options) as runner:

        def ask(function, given=1):
            return runner.run(pipeline([node(function, "x", "y", name="ask")]), {"x": given})["y"]

        ask(abs)
        yield ask


@pytest.fixture
def root():
    with handler_of("") as keep:
        yield keep


# -- which records there are ------------------------------------------------------------------------------------------


def talks(x):
    logging.getLogger("calls.load").debug("a detail")
    logging.getLogger("calls.noisy").warning("chatter")
    logging.getLogger("calls.load").info("a word")
    return x


DETAIL, CHATTER, WORD = (
    ("calls.load", "DEBUG", "a detail"),
    ("calls.noisy", "WARNING", "chatter"),
    ("calls.load", "INFO", "a word"),
)


def test_levels_of_loggers_are_the_callers_at_each_run(warm, root):
    with levels(calls="DEBUG", calls__noisy="ERROR"):
        warm(talks)
        assert root.said() == [DETAIL, WORD]
    with levels(calls="INFO"):
        warm(talks)
        assert root.said() == [CHATTER, WORD]
    warm(talks)
    assert root.said() == [CHATTER]


def test_what_the_caller_has_disabled_is_silent(warm, root):
    logging.getLogger("calls.noisy").disabled = True
    try:
        warm(talks)
    finally:
        logging.getLogger("calls.noisy").disabled = False
    assert root.said() == []
    logging.disable(logging.WARNING)
    try:
        warm(talks)
    finally:
        logging.disable(logging.NOTSET)
    assert root.said() == []
    warm(talks)
    assert root.said() == [CHATTER]


def names_level(x):
    logging.getLogger("calls").log(25, "by its number")
    return logging.getLevelName(25)


def test_names_of_levels_are_the_callers_at_each_run(warm, root):
    before = dict(logging._levelToName), dict(logging._nameToLevel)
    with levels(calls="INFO"):
        logging.addLevelName(25, "NOTICE")
        try:
            assert warm(names_level) == "NOTICE"
        finally:
            del logging._levelToName[25], logging._nameToLevel["NOTICE"]
        assert (logging._levelToName, logging._nameToLevel) == before
        assert root.said() == [("calls", "NOTICE", "by its number")]
        assert warm(names_level) == "Level 25"


def warns(x):
    warnings.warn("soon gone", FutureWarning, stacklevel=1)
    return x


def test_warnings_of_nodes_are_records_where_the_caller_captures_them(warm, root):
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        try:
            warm(warns)
        finally:
            logging.captureWarnings(False)
    (said,) = root.said()
    assert said[:2] == ("py.warnings", "WARNING")
    assert "FutureWarning: soon gone" in said[2]


# -- who handles them -------------------------------------------------------------------------------------------------


def speaks(x):
    for name in EARLY:
        logging.getLogger(name).warning("hello %s", name)
    return x


def test_each_record_is_handled_once_by_the_callers_handlers_of_its_logger(warm, early, root):
    apart, both = early
    warm(speaks)
    assert apart.said() == [("calls.apart", "WARNING", "hello calls.apart")]
    assert both.said() == [("calls.both", "WARNING", "hello calls.both")]
    assert root.said() == [("calls.both", "WARNING", "hello calls.both")]


def handlers(_):
    root = logging.getLogger()
    loggers = [each for each in root.manager.loggerDict.values() if isinstance(each, logging.Logger)]
    return [type(each).__name__ for logger in (root, *loggers) for each in logger.handlers]


def test_no_handler_of_the_caller_is_in_a_worker(warm, place):
    if place not in AT_HOME:
        assert warm(handlers) == ["ToRunner"]


def test_filters_of_loggers_see_each_record_once(warm, root):
    seen = []
    logger = logging.getLogger("calls.noisy")
    logger.addFilter(look := lambda record: seen.append(record.getMessage()) or True)
    try:
        warm(talks)
    finally:
        logger.removeFilter(look)
    assert seen == ["chatter"]


# -- what is in them --------------------------------------------------------------------------------------------------


@frozen
class Order:
    """Something of the project's own."""

    number: int


def adds(x):
    extra = {"order": Order(7), "parts": ["a", {"b": 1.5}], "lock": threading.Lock(), "count": 3, "flag": True}
    logging.getLogger("calls").warning("look", extra=extra)
    return x


def test_extras_cross_and_what_cannot_be_pickled_comes_as_its_text(warm, root, place):
    warm(adds)
    (record,) = root.records
    assert (record.order, record.parts, record.count, record.flag) == (Order(7), ["a", {"b": 1.5}], 3, True)
    assert "lock" in (record.lock if place not in AT_HOME else str(record.lock))


def formats_wrongly(x):
    logging.getLogger("calls").warning("%d apples", "no")
    return x


def test_a_wrong_format_fails_no_node_and_the_record_arrives(warm, root, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [root])  # those of pytest raise what logging only tells
    assert warm(formats_wrongly) == 1
    (record,) = root.records
    assert "%d apples" in str(record.msg)


def fails_and_tells(x):
    try:
        raise ValueError("on purpose")
    except ValueError:
        logging.getLogger("calls").exception("it failed")
    return x


def test_the_traceback_of_an_error_is_in_its_record(warm, root):
    warm(fails_and_tells)
    (record,) = root.records
    assert "ValueError: on purpose" in logging.Formatter().format(record)


# -- amid signals and forks -------------------------------------------------------------------------------------------


class Out(Exception):
    """What a time-out raises."""


def times_out(x):
    """Log until an alarm raises, as time-outs by decorators do."""

    def alarm(*_):
        logging.getLogger("calls").warning("the alarm")
        raise Out

    before = signal.signal(signal.SIGALRM, alarm)
    signal.setitimer(signal.ITIMER_REAL, 0.02)
    try:
        while True:
            logging.getLogger("calls").warning("y" * 300_000)
    except Out:
        return "timed out"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_signal_that_raises_and_logs_amid_records_cuts_none(warm, root, place):
    if place not in IN_POOL:
        pytest.skip("nodes send nothing by themselves here")
    for _ in range(8):
        assert warm(times_out) == "timed out"
    assert {text[:9] for _, _, text in root.said()} <= {"y" * 9, "the alarm"}


def forks_and_logs(x):
    pid = os.fork()
    if pid == 0:
        logging.getLogger("calls").warning("of the child")
        os._exit(0)
    logging.getLogger("calls").warning("of the node")
    os.waitpid(pid, 0)
    return x


def test_a_child_of_a_node_that_logs_disturbs_no_message(warm, root):
    for _ in range(3):
        assert warm(forks_and_logs) == 1
        assert [text for _, _, text in root.said()] == ["of the node"]


def test_messages_are_whole_and_in_order_however_often_handlers_raise_and_send():
    ours, theirs = socket.socketpair()
    outbox, received, count, message = Outbox(theirs, pytest.fail), bytearray(), 0, b"<" + b"m" * 200_000 + b">"
    reader = threading.Thread(target=lambda: [received.extend(piece) for piece in iter(lambda: ours.recv(4096), b"")])

    def alarm(_, frame):
        outbox.send(b"<inner>")
        if frame.f_code.co_filename == outbox_file:
            raise Out

    outbox_file = Outbox.finish.__code__.co_filename
    before = signal.signal(signal.SIGALRM, alarm)
    reader.start()
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        while count < 100:
            try:
                outbox.send(message)
            except Out:
                count += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    outbox.finish()
    theirs.close()
    reader.join()
    ours.close()
    assert bytes(received).replace(message, b"").replace(b"<inner>", b"") == b""
