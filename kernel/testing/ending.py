"""How runs end: by their time limit, by Ctrl-C, with their workers dead; and that nothing is left of any."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

import pytest

from kernel import node
from kernel.errors import Interrupted, NodeError, WorkerLost
from kernel.specs.events import State
from kernel.specs.executor import Reach
from kernel.testing import functions
from kernel.testing.limits import eventually
from kernel.testing.listeners import Repeats
from kernel.testing.suite import applies_if

if TYPE_CHECKING:
    from kernel.testing.bench import Bench

__all__ = ["EndRules", "nothing_left"]

_DESCRIPTORS = Path("/proc/self/fd")
_SHARED_MEMORY = Path("/dev/shm")

#: What ends by itself may take this long (seconds) on a busy machine; less than nodes sleep that have to be ended.
_PATIENCE_S = 20.0

kills = applies_if(lambda suite: suite.capabilities.kill)
loses_workers = applies_if(lambda suite: suite.capabilities.reach >= Reach.PROCESS)
#: An engine that runs lost nodes again by itself does so as it is set up to.
retries_as_told = applies_if(
    lambda suite: suite.capabilities.reach >= Reach.PROCESS and not suite.capabilities.recovers
)
here = applies_if(lambda suite: suite.capabilities.reach <= Reach.PROCESS)


def _there() -> dict[str, set[object]]:
    """List what a run might leave behind in and around this process.

    One by one, not as numbers: something of before that ends late would hide something new.
    """
    segments = _SHARED_MEMORY.iterdir() if _SHARED_MEMORY.is_dir() else ()
    return {"threads": set(threading.enumerate()), "children": set(_children()), "segments": set(segments)}


def _descriptors() -> int:
    # Their numbers are given out again, so only how many there are tells something.
    return len(list(_DESCRIPTORS.iterdir())) if _DESCRIPTORS.is_dir() else 0


def _is_in_use(path: Path) -> bool:
    """Say whether another process has the file open or mapped: then something that runs beside these tests uses it."""
    mapped = b" %b\n" % os.fsencode(path)
    for folder in Path("/proc").glob("[0-9]*"):
        if folder.name == str(os.getpid()):
            continue
        with suppress(OSError):  # a process that ended meanwhile, or is not ours to look at
            if mapped in (folder / "maps").read_bytes():
                return True
            if any(os.readlink(link) == str(path) for link in (folder / "fd").iterdir()):  # noqa: PTH115 - as text
                return True
    return False


def _children() -> list[str]:
    found: list[str] = []
    for each in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # a thread that ended meanwhile
            found += each.read_text().split()
    return found


@contextmanager
def nothing_left() -> Generator[None]:
    """See that what runs in this block leaves no thread, process, descriptor or segment behind."""
    before, descriptors = _there(), _descriptors()

    def left() -> dict[str, object]:
        found: dict[str, object] = {}
        for what, there in _there().items():
            more = [each for each in there - before[what] if not (isinstance(each, Path) and _is_in_use(each))]
            if more:
                found[what] = more
        more_open = _descriptors() - descriptors
        return {**found, "descriptors": more_open} if more_open > 0 else found

    yield
    until = monotonic() + _PATIENCE_S
    while found := left():
        if monotonic() > until:
            pytest.fail(f"more than before, {_PATIENCE_S:g} seconds after the end: {found}")
        gc.collect()
        sleep(0.01)


class EndRules:
    """Ends, good and bad."""

    @here
    def test_nothing_is_left_when_a_run_is_over(
        self, bench: Bench, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        temporary = tmp_path_factory.mktemp("temporary")
        monkeypatch.setenv("TMPDIR", str(temporary))
        monkeypatch.setattr(tempfile, "tempdir", None)
        nodes = [node(functions.pass_on, "free", f"o{at}", name=f"n{at}") for at in range(4)]
        bench.close()
        bench.run_cold(nodes, {"free": bytes(1 << 20)}).close()  # what is loaded once stays
        with nothing_left():
            bench.run_cold(nodes, {"free": bytes(1 << 20)}).close()
        with nothing_left(), pytest.raises(NodeError):
            bench.run_cold([*nodes, node(functions.fail, "o0", None)], {"free": bytes(1 << 20)})
        assert not list(temporary.iterdir())

    @here
    def test_ctrl_c_ends_the_run(self, bench: Bench) -> None:
        nodes = [
            node(functions.interrupt_runner, ["folder", "runner"], None, name="a"),
            node(functions.pass_on_counted, ["folder", "runner"], "v", name="b"),
        ]
        values = {"folder": str(bench.folder), "runner": os.getpid()}
        threading_before = threading.active_count()
        try:
            with pytest.raises(Interrupted):
                bench.run_cold(nodes, values, workers=1, grace_s=0.5)
        finally:
            bench.open_gate()  # for a node that nothing could stop
        assert bench.trace("ran") == 0
        eventually(lambda: threading.active_count() <= threading_before, "threads end")

    # -- stopping nodes -------------------------------------------------------------------------------------------

    @kills
    def test_a_node_that_takes_too_long_is_stopped_and_named(self, bench: Bench) -> None:
        nodes = [
            node(functions.nap, "folder", None, name="slow", timeout=0.3),
            node(functions.pass_on, "free", "v", name="quick", timeout=30.0),
        ]
        with pytest.raises(NodeError, match=r"0\.3") as caught:
            bench.run(nodes, {"folder": str(bench.folder), "free": 1}, on_failure="drain")
        assert (caught.value.node, caught.value.error_type) == ("slow", "TimeoutError")
        with bench.run(nodes[1:], {"free": 1}) as result:
            assert dict(result) == {"v": 1}

    @kills
    def test_cancel_with_kill_interrupts_a_running_node(self, bench: Bench) -> None:
        nodes = [node(functions.nap, "folder", None, name="n"), node(functions.constant, None, "v", name="after")]
        with bench.drive(nodes, {"folder": str(bench.folder)}) as drive:
            drive.submit("n")
            drive.until(lambda: bench.trace("napping") == 1)
            drive.cancel(kill=True)
            (outcome,) = drive.collect(1)
            assert outcome.state in {State.FAILED, State.LOST, State.CANCELLED}
            drive.submit("after")
            drive.collect(2)
            assert drive.values("after") == [1]

    @kills
    def test_shutdown_at_once_does_not_wait_for_a_node(self, bench: Bench) -> None:
        with (
            nothing_left(),
            bench.drive([node(functions.nap, "folder", None, name="n")], {"folder": str(bench.folder)}) as drive,
        ):
            drive.submit("n")
            drive.until(lambda: bench.trace("napping") == 1)
            drive.executor.shutdown(cancel=True)

    # -- losing workers -------------------------------------------------------------------------------------------

    @loses_workers
    def test_a_node_whose_worker_dies_once_runs_again(self, bench: Bench) -> None:
        nodes = [node(functions.die_once, ["folder", f"i{at}"], f"o{at}", name=f"n{at}") for at in range(4)]
        with bench.run(nodes, {"folder": str(bench.folder), **{f"i{at}": at for at in range(4)}}) as result:
            assert dict(result) == {f"o{at}": at + 1 for at in range(4)}
        assert bench.trace("died") == 5 or (not bench.capabilities.blames and bench.trace("died") > 5)

    @loses_workers
    def test_a_node_that_kills_its_worker_each_time_is_named(self, bench: Bench) -> None:
        nodes = [node(functions.pass_on_counted, ["folder", f"i{at}"], f"o{at}", name=f"n{at}") for at in range(20)]
        nodes.insert(10, node(functions.die, ["folder", "i0"], None, name="to_blame"))
        values = {"folder": str(bench.folder), **{f"i{at}": at for at in range(20)}}
        with pytest.raises(WorkerLost, match="to_blame") as caught:
            bench.run(nodes, values, on_failure="continue")
        assert caught.value.node == "to_blame"
        assert not caught.value.others
        assert bench.trace("died") == caught.value.attempts >= 2
        if bench.capabilities.blames:
            assert caught.value.attempts == 2 or bench.capabilities.recovers
            # What was done but not yet told of is done again by an engine that recovers by itself.
            assert bench.trace("ran") == 20 or (bench.capabilities.recovers and bench.trace("ran") > 20)

    @loses_workers
    def test_what_runs_again_after_a_loss_says_so(self, bench: Bench) -> None:
        """Its report has which try it was; of a node that was done already, listeners hear it."""
        repeats = Repeats()
        nodes = [
            node(functions.pass_on_counted, ["folder", "free"], "made", name="make"),
            node(functions.die_once, ["folder", "one"], "died", name="die", after="make"),
            node(functions.read_second, ["made", "died"], "seen", name="read"),
        ]
        values = {"free": bytes(range(256)) * 4096, "folder": str(bench.folder), "one": 1}
        with bench.run(nodes, values, workers=1, hooks=[repeats]) as result:
            tries = {task.node: task.attempt for task in result.report.tasks}
        assert max(tries["make"], repeats.attempts.get("make", 0)) == bench.trace("ran")
        assert max(tries["die"], repeats.attempts.get("die", 0)) == bench.trace("died") == 2

    @retries_as_told
    def test_a_node_that_must_not_run_twice_does_not(self, bench: Bench) -> None:
        with pytest.raises(WorkerLost) as caught:
            bench.run([node(functions.die, "folder", None, name="n", death_retries=0)], {"folder": str(bench.folder)})
        assert (caught.value.attempts, bench.trace("died")) == (1, 1)

    @loses_workers
    def test_values_outlive_the_worker_that_made_them(self, bench: Bench) -> None:
        big = bytes(range(256)) * 4096
        nodes = [
            node(functions.pass_on, "free", "made", name="make"),
            node(functions.die_once, ["folder", "one"], "died", name="die"),
            node(functions.read_second, ["made", "died"], "seen", name="read"),
        ]
        values = {"free": big, "folder": str(bench.folder), "one": 1}
        with bench.run(nodes, values, workers=1) as result:
            assert result["seen"] == big
