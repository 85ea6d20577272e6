"""The runner's side of the pool: one loop over the streams of all workers and the news of their ends."""

from __future__ import annotations

import os
import selectors
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from time import monotonic
from typing import TYPE_CHECKING

from attrs import evolve

from kernel.errors import KernelError
from kernel.sizing import usable_cpus
from kernel.specs.events import Event, Outcomes, WorkerDown
from kernel.specs.executor import Capabilities, Reach
from kernel_process_pool.crew import Crew
from kernel_process_pool.dispatch import Dispatch
from kernel_process_pool.libraries import imported_by, is_installed
from kernel_process_pool.maker import Maker
from kernel_process_pool.methods import choose_method
from kernel_process_pool.options import Options
from kernel_process_pool.parcel import parcel
from kernel_process_pool.stragglers import POLL_S, Stragglers
from kernel_process_pool.threads import unset
from kernel_process_pool.threads import variables_for as thread_variables
from kernel_process_pool.verdicts import cancelled
from kernel_remote.definitions import ship
from kernel_remote.loaded import Loaded
from kernel_remote.travel import Sendable

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.specs.tasks import Program, Tasks

__all__ = ["ProcessPoolExecutor"]


class ProcessPoolExecutor:
    """Worker processes on this machine. `start_method` is fork, spawn or forkserver.

    None: what the variable KERNEL_MP_CONTEXT says, else forkserver. `threads_per_worker` is how many threads libraries
    may use in a worker (None: the CPUs are shared out, 0: as many as they like). A worker is replaced after
    `max_nodes_per_worker` nodes, or when it keeps more than `max_worker_memory` (bytes, or text like "2GB") to itself.
    A node without a time limit is reported with its stack after `report_silent_after` seconds (0: never). What makes
    workers starts before there is a run, as soon as one is prepared, unless `starts_ahead` is False.
    Raises ConfigError for what makes no sense.
    """

    capabilities = Capabilities(
        reach=Reach.PROCESS, chains=True, kill=True, policies=frozenset({"fresh_process"}), definitions=True
    )
    default_catalog = "shared_memory"

    def __init__(
        self,
        start_method: str | None = None,
        threads_per_worker: int | None = None,
        max_nodes_per_worker: int | None = None,
        max_worker_memory: int | str | None = None,
        report_silent_after: float = 60.0,
        starts_ahead: bool = True,
    ) -> None:
        self._method = choose_method(start_method)
        self._options = Options.checked(
            threads_per_worker, max_nodes_per_worker, max_worker_memory, report_silent_after, starts_ahead
        )
        if max_nodes_per_worker is not None or max_worker_memory is not None:
            self.capabilities = evolve(self.capabilities, chains=False)  # a worker may be replaced after any node
        self._dispatch = Dispatch()
        self._crew: Crew | None = None
        #: Was started ahead, for a run that has not begun.
        self._ahead: Maker | None = None
        self._selector: selectors.BaseSelector
        #: What the workers may have loaded: code that was loaded again here is new to them.
        self._loaded: Loaded
        self._woken = self._wake = -1
        self._events: list[Event] = []
        self._stragglers = Stragglers()
        #: By number of workers, and the names that are ours to set.
        self._variables: dict[tuple[int, tuple[str, ...]], dict[str, str]] = {}
        self._sendable = Sendable()
        #: The runner was told of a failure, or of a death, and has dealt with it when it calls again.
        self._told_failure = False

    def validate_nodes(self, nodes: Sequence[Node]) -> None:
        """Raise one `ValidationError` with every node whose function cannot be sent to a worker."""
        self._sendable.check(nodes)

    def prepare(self, workers: int | None, *, loading: bool) -> None:
        """Start the process that makes workers, unless it is there, or has to be forked off when the run starts."""
        if self._options.starts_ahead and self._crew is None and self._ahead is None and self._method != "fork":
            try:
                self._ahead = Maker(self._method)
            except OSError:  # whatever there is no room for now will be missed, and told of, by the run
                return
            self._ahead.start_ahead(self._variables_for(workers or usable_cpus()), loading=loading)

    def _variables_for(self, workers: int) -> Mapping[str, str]:
        key = workers, unset()
        if key not in self._variables:  # asking what a control group allows takes as long as a short run
            self._variables[key] = thread_variables(self._options.threads_per_worker, workers)
        return self._variables[key]

    def start(self, program: Program, workers: int) -> int:
        """Make ready for a run; workers are made as turns come in, and kept for the next run."""
        variables = self._variables_for(workers)
        if self._crew is not None and (self._crew.size < workers or self._loaded.has_changed()):
            self.shutdown()
        if self._crew is None:
            self._crew = self._new_crew(program, workers, variables)
        self._events.clear()
        self._dispatch.begin(program)
        with self._sendable.explained():
            shipment = ship(program.for_travel(), self._sendable.hidden(program.modules))
        self._crew.begin(parcel(shipment, variables), workers, program.names)
        if not self._crew.active():
            self._crew.grow(1)
        return workers

    def _new_crew(self, program: Program, workers: int, variables: Mapping[str, str]) -> Crew:
        modules, self._loaded = _loaded_for_all(program), Loaded()
        with ExitStack() as undo:  # where the crew cannot be
            try:
                self._woken, self._wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
                undo.callback(os.close, self._woken)
                undo.callback(os.close, self._wake)
                self._selector = undo.enter_context(selectors.DefaultSelector())
                self._selector.register(self._woken, selectors.EVENT_READ, self)
                maker = self._maker_for(modules, program.modules, variables)
                undo.callback(maker.close)
                maker.begin(modules, variables)
                crew = Crew(maker, workers, self._selector, self._dispatch, self._options)
            except OSError as error:
                raise KernelError(f"no worker can be made: {error.strerror}") from error
            undo.pop_all()
        return crew

    def _maker_for(self, modules: Sequence[str], own: Sequence[str], variables: Mapping[str, str]) -> Maker:
        ahead, self._ahead = self._ahead, None
        if ahead is not None and ahead.is_fit_for(modules, own, variables):
            return ahead
        if ahead is not None:
            ahead.discard()
        return Maker(self._method)

    def submit(self, tasks: Tasks) -> None:
        """Queue turns and send what can be sent now."""
        self._resume()
        self._dispatch.add(tasks)
        self._feed()

    def _resume(self) -> None:
        if self._told_failure and self._crew is not None:
            self._told_failure = False
            self._crew.resume()

    def _feed(self) -> None:
        """Make workers as they are needed and give them what they can have now."""
        crew = self._crew
        assert crew is not None
        crew.retire()
        if crew.is_held:
            return
        self._dispatch.take_back_slowed(crew.active())
        crew.make_fresh(self._dispatch.wants_fresh)
        if not self._dispatch.waits:
            return
        active = crew.active()
        if len(active) < crew.limit:
            idle = sum(not link.sent for link in active)
            if len(self._dispatch) > idle:
                crew.grow(len(self._dispatch) - idle)
                active = crew.active()
        self._dispatch.hand_out(active)

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Return all events that are in, waiting for the first."""
        crew = self._crew
        assert crew is not None
        self._resume()
        crew.acknowledge()
        self._feed()
        until = None if timeout is None else monotonic() + timeout
        woken = False
        while not self._events and not woken:
            crew.watch_unsent()
            links = () if len(self._dispatch) else crew.active()
            soon = monotonic() + POLL_S if self._stragglers.are_possible(links) else None
            ready = self._selector.select(_time_to(until, soon, crew.next_deadline()))
            for key, mask in ready:
                if key.data is self:
                    woken = bool(os.read(self._woken, 4096))
                else:
                    self._events += crew.on_ready(key, mask)
            if soon is not None and not ready:
                self._dispatch.put_back(self._stragglers.taken_from(links))
            crew.stop_overdue()
            if not self._events:  # else the runner may have something better for whoever is free now
                self._feed()
            if until is not None and monotonic() >= until:
                break
        events, self._events = self._events, []
        self._told_failure = any(isinstance(event, WorkerDown) or _has_failures(event) for event in events)
        return events

    def wake(self) -> None:
        """Make `wait` return."""
        if self._crew is not None:
            os.write(self._wake, b"!")

    def cancel(self, *, kill: bool) -> None:
        """Take back what has not started; with `kill`, interrupt what runs."""
        self._events += cancelled(self._dispatch.clear())
        if self._crew is None:
            return
        for link in self._crew.links.values():
            link.take_back()
        if kill:
            self._crew.interrupt()

    def capacity(self) -> Mapping[str, float]:
        """Offer one CPU to a node: workers run one at a time."""
        return {"cpu": 1.0}

    def shutdown(self, *, cancel: bool = False) -> None:
        """End the workers; with `cancel`, at once."""
        ahead, self._ahead = self._ahead, None
        if ahead is not None:
            ahead.discard()
        crew, self._crew = self._crew, None
        if crew is None:
            return
        crew.close(cancel=cancel)
        self._selector.close()
        os.close(self._woken)
        os.close(self._wake)


def _loaded_for_all(program: Program) -> Sequence[str]:
    """List what the process that makes workers loads, in this order; what is the project's is left to each worker."""
    store = type(program.store).__module__
    return (*([store] if is_installed(store) else []), *imported_by(program.modules))


def _has_failures(event: Event) -> bool:
    return isinstance(event, Outcomes) and bool(event.failures)


def _time_to(*moments: float | None) -> float | None:
    """Return the seconds until the first of these moments of the monotonic clock; None when there is none."""
    given = [moment for moment in moments if moment is not None]
    return max(0.0, min(given) - monotonic()) if given else None
