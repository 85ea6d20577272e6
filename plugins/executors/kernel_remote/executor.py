"""An executor on an engine's workers: which turns make a job, what came of each, who is to blame for a lost worker."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from attrs import evolve

from kernel.errors import DataLost, KernelError
from kernel.failure import capture, rebuild
from kernel.nodes.calling import names_of
from kernel.specs.events import Event, Failure, Outcomes, Repeated, State, WorkerDown, WorkerUp
from kernel_remote.booth import nth
from kernel_remote.engine import Answer, DataGone, Job, Loss, Ref, TimedOut, Unstarted
from kernel_remote.jobs import Sending, boot, brought, pack
from kernel_remote.records import heard
from kernel_remote.travel import Sendable
from kernel_remote.turns import too_long
from kernel_remote.waiting import Waiting

if TYPE_CHECKING:
    from kernel.nodes import Node
    from kernel.specs.executor import Capabilities
    from kernel.specs.tasks import Program, Tasks
    from kernel_remote.engine import Engine, Inbox, News
    from kernel_remote.waiting import Stretch

__all__ = ["RemoteExecutor"]

#: The number that stands for a worker of which only its end is known.
_UNKNOWN = -1


class RemoteExecutor:
    """Keeps the books for an engine. An executor derives from it, and says what it can do."""

    capabilities: Capabilities
    default_catalog = "memory"

    def __init_subclass__(cls) -> None:
        if "capabilities" in vars(cls):  # workers have what the main module defines, whatever the engine is
            cls.capabilities = evolve(cls.capabilities, definitions=True)

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._session = uuid4().hex
        self._runs = 0
        self._inbox: Inbox = SimpleQueue()
        self._program: Program | None = None
        self._waiting: Waiting | None = None
        self._sent: dict[int, Sending] = {}
        self._jobs = 0
        self._events: list[Event] = []
        #: Of each worker that was heard of, its number.
        self._workers: dict[str, int] = {}
        #: How often the engine ran a node again that was done.
        self._starts: dict[int, int] = {}
        self._sendable = Sendable()

    # -- the contract ---------------------------------------------------------------------------------------------

    def validate_nodes(self, nodes: Sequence[Node]) -> None:
        """Raise one `ValidationError` with every node whose function cannot be sent to a worker."""
        self._sendable.check(nodes)

    def start(self, program: Program, workers: int) -> int:
        """Make ready for a run: the program goes to each worker once."""
        self._runs += 1
        key = f"{self._session}/{self._runs}"
        self._inbox, self._sent, self._events, self._workers, self._starts = SimpleQueue(), {}, [], {}, {}
        self._program, self._waiting = program, Waiting(program, self._engine.batch_s)
        with self._sendable.explained():
            shipped = boot(key, program, self._sendable.hidden(program.modules), self._engine)
        return self._engine.open(shipped, self._inbox, workers)

    def submit(self, tasks: Tasks) -> None:
        """Queue turns and send what can be sent now."""
        assert self._waiting is not None
        self._waiting.add(tasks)
        self._feed()

    def wait(self, timeout: float | None = None) -> Sequence[Event]:
        """Return all events that are in, waiting for the first."""
        self._feed()
        try:
            news = self._inbox.get(block=not self._events, timeout=timeout)
            while True:
                if callable(news):
                    news = news()
                if news is not None:
                    self._hear(news)
                news = self._inbox.get_nowait()
        except Empty:
            events, self._events = self._events, []
            return events

    def wake(self) -> None:
        """Make `wait` return."""
        self._inbox.put(None)

    def cancel(self, *, kill: bool) -> None:
        """Take back what has not started; with `kill`, interrupt what runs where the engine can."""
        if self._waiting is None:
            return
        self._give_back(self._waiting.clear())
        for sent in self._sent.values():
            rest, sent.rest = sent.rest, None
            self._give_back([turn[0] for turn in rest.turns] if rest is not None else [])
        for number in self._engine.recall(list(self._sent), kill=kill):
            self._give_back(self._sent.pop(number).nodes())

    def capacity(self) -> Mapping[str, float]:
        """Say what the biggest worker offers."""
        return self._engine.capacity()

    def fetch(self, handles: Sequence[Any]) -> Sequence[Any]:
        """Bring handles here that the engine holds, and leave all others; raises `DataLost` when one is gone."""
        lists: dict[int, Sequence[Any]] = {}
        brought: list[Any] = []
        for handle in handles:
            if type(handle) is not Ref or handle.owner != self._session:
                brought.append(handle)
                continue
            if id(handle.held) not in lists:
                lists[id(handle.held)] = self._engine.fetch(handle.held)
            brought.append(nth(lists[id(handle.held)], handle.at))
        return brought

    def shutdown(self, *, cancel: bool = False) -> None:
        """Let go of the workers; with `cancel`, at once."""
        self._engine.close(cancel=cancel)

    # -- out ------------------------------------------------------------------------------------------------------

    def _feed(self) -> None:
        """Give the engine as many jobs as it shall have now."""
        waiting, engine = self._waiting, self._engine
        if waiting is None or not len(waiting):
            return
        if not engine.blames and any(sent.is_suspect for sent in self._sent.values()):
            return
        if not engine.blames and (repeated := waiting.take_repeated()) is not None:
            if self._sent:  # a turn that may have cost a worker runs while nothing else does, then its guilt is plain
                waiting.put(repeated)
            else:
                self._send([repeated], repeated.cut(1))
            return
        slots = engine.slots()
        room = slots * engine.depth - len(self._sent)
        while room > 0 and len(waiting):
            self._send(*waiting.take(-(-len(waiting) // max(1, min(room, slots)))))
            room -= 1

    def _send(self, stretches: Sequence[Stretch], rest: Stretch | None) -> None:
        waiting, program = self._waiting, self._program
        assert waiting is not None
        assert program is not None
        head = stretches[0].turns[0][0]
        policy = waiting.policy(head)
        self._jobs += 1
        turns, held = pack(stretches)
        job = Job(
            self._jobs,
            program.names[head],
            turns,
            held,
            policy.resources,
            waiting.timeout(head),
            min(self._repeats(turn[0]) for stretch in stretches for turn in stretch.turns),
        )
        self._sent[job.number] = Sending(stretches, rest)
        self._engine.send(job)

    def _repeats(self, index: int) -> int:
        assert self._waiting is not None
        assert self._program is not None
        own = self._waiting.policy(index).death_retries
        return self._program.death_retries if own is None else own

    # -- back -----------------------------------------------------------------------------------------------------

    def _hear(self, news: News) -> None:
        if isinstance(news, Loss):
            self._lost(news)
        elif isinstance(news, Answer):
            self._answered(news)
        elif isinstance(news, DataGone):
            error = DataLost(self._inputs_of(news.number), news.how)
            self._failed(news.number, capture(error, "load"))
        elif isinstance(news, Unstarted):
            sent = self._sent.pop(news.number, None)
            self._give_back(sent.nodes() if sent is not None else ())
        elif isinstance(news, TimedOut):
            self._failed(news.number, too_long(news.limit))
        else:
            self._failed(news.number, capture(news.error, "engine"))

    def _answered(self, answer: Answer) -> None:
        who, pid, found, words = pickle.loads(answer.data)
        number = self._number(who, pid) if answer.slot is None else self._in_slot(answer.slot, who, pid)
        self._events += [heard(number, word) for word in words]
        sent = self._sent.pop(answer.number, None)
        if isinstance(found, Failure):
            if sent is not None:
                raise _stop(who, found)
            return
        if sent is None:  # its results were lost with a worker, and the engine made them again
            self._repeated(found, number)
            return
        handles = [tuple([brought(each, answer.held, self._session) for each in row]) for row in found.handles]
        tries = found.attempts
        if answer.starts:
            tries = {at: tries.get(at, 1) + answer.starts for at in range(len(found))}
        self._events.append(outcomes := evolve(found, worker=number, handles=handles, attempts=tries))
        assert self._waiting is not None
        self._waiting.learn(outcomes)
        self._give_back([turn[0] for turn in sent.turns[len(outcomes) :]])
        if sent.rest is not None:
            self._go_on(sent, outcomes)

    def _repeated(self, outcomes: Outcomes, number: int) -> None:
        for index in outcomes.index:
            self._starts[index] = starts = self._starts.get(index, 1) + 1
            self._events.append(Repeated(number, index, starts))

    def _go_on(self, sent: Sending, outcomes: Outcomes) -> None:
        """Queue what is left of a chain, with what is made of it so far; where that failed, it never runs."""
        assert sent.rest is not None
        assert self._waiting is not None
        assert self._program is not None
        if outcomes.failures:
            self._give_back([turn[0] for turn in sent.rest.turns])
            return
        for index, handles in zip(outcomes.index, outcomes.handles, strict=True):
            names = [name for name in names_of(self._program.outputs[index]) if name not in self._program.datasets]
            sent.rest.made.update(zip(names, handles))  # noqa: B905 - one whose value stayed inside the job has none
        self._waiting.put(sent.rest)

    def _lost(self, loss: Loss) -> None:
        """Tell of lost jobs. Only a turn that was alone with its worker is to blame; others run again alone."""
        lost = [self._sent[number] for number in loss.numbers if number in self._sent]
        nodes = [turn for sent in lost for turn in sent.turns]
        if loss.numbers and not nodes:
            return
        blamed = nodes[0][0] if len(nodes) == 1 else None
        self._events.append(WorkerDown(_UNKNOWN, loss.pid, loss.how, blamed, starts=loss.starts))
        if loss.is_repeated:
            return
        for number in loss.numbers:
            self._sent.pop(number, None)
        for index, _, _, attempt, _ in nodes:
            self._events.append(Outcomes.without_result(_UNKNOWN, (index,), State.LOST, attempt=attempt))
        self._give_back([turn[0] for sent in lost if sent.rest is not None for turn in sent.rest.turns])

    def _failed(self, number: int, failure: Failure) -> None:
        sent = self._sent.pop(number, None)
        if sent is None:
            return
        index, _, _, attempt, _ = sent.turns[0]
        self._events.append(Outcomes.without_result(_UNKNOWN, (index,), State.FAILED, failure=failure, attempt=attempt))
        self._give_back(sent.nodes()[1:])

    def _give_back(self, nodes: Sequence[int]) -> None:
        if nodes:
            self._events.append(Outcomes.without_result(0, nodes, State.CANCELLED))

    def _number(self, who: str, pid: int) -> int:
        number = self._workers.get(who)
        if number is None:
            number = self._workers[who] = len(self._workers)
            self._events.append(WorkerUp(number, pid))
        return number

    def _in_slot(self, slot: int, who: str, pid: int) -> int:
        if self._workers.get(who) != slot:
            self._workers[who] = slot
            self._events.append(WorkerUp(slot, pid))
        return slot

    def _inputs_of(self, number: int) -> Sequence[str]:
        assert self._program is not None
        sent = self._sent.get(number)
        return names_of(self._program.inputs[sent.turns[0][0]]) if sent is not None else ()


def _stop(who: str, failure: Failure) -> KernelError:
    """Make the error of a worker that cannot take up the program of the run."""
    error = rebuild(failure, "", None).cause
    if isinstance(error, KernelError):  # a listener's error, for one, says all that is to be said
        return error
    return KernelError(
        f"worker {who} could not take up the run: {failure.type_name}: {failure.message}\n{failure.traceback}"
    )
