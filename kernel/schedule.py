"""Who is ready, who is done, what may be released: counters and transitions, no input or output.

A node is WAITING until its last parent is done, READY until it is handed out, then SENT, and in the end DONE, FAILED
or SKIPPED. Every transition of a run is a method here; all together cost O(nodes + edges).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.pipelines import Plan
    from kernel.rules import OnFailure

__all__ = ["Phase", "Schedule"]


class Phase(IntEnum):
    """Where a node is on its way through a run."""

    WAITING = 0
    READY = 1
    SENT = 2
    DONE = 3
    FAILED = 4
    SKIPPED = 5


class Schedule:
    """The state of one run over a plan."""

    def __init__(self, plan: Plan, on_failure: OnFailure = "stop") -> None:
        self._plan = plan
        self._on_failure = on_failure
        self._unmet = list(plan.unmet)
        self._readers = dict(plan.load_counts)
        self._keep = frozenset(plan.free_outputs)
        self._ready: deque[int] = deque(index for index, count in enumerate(self._unmet) if not count)
        self.phases = [Phase.WAITING] * len(plan.nodes)
        for index in self._ready:
            self.phases[index] = Phase.READY
        #: Turns handed out whose outcome is not in yet.
        self.unfinished = 0
        #: Whether new nodes become ready when their parents are done.
        self._unlocks = True
        self._stopped = False

    def take(self, room: int | None = None) -> list[int]:
        """Hand out ready nodes, at most `room`, in the order in which they became ready."""
        ready = self._ready
        if room is None or room >= len(ready):
            taken = list(ready)
            ready.clear()
        else:
            taken = [ready.popleft() for _ in range(room)]
        phases = self.phases
        for index in taken:
            phases[index] = Phase.SENT
        self.unfinished += len(taken)
        return taken

    def last_reader(self, names: Sequence[str]) -> int:
        """Say, as bits, which of these inputs nobody will read after the node that is about to be handed out."""
        readers = self._readers
        bits = 0
        for at, name in enumerate(names):
            if readers[name] == 1:
                bits |= 1 << at
        return bits

    def done(self, indices: Sequence[int]) -> list[str]:
        """Note that these nodes are done; return the names of the datasets that nobody needs any more."""
        children, unmet, phases = self._plan.children, self._unmet, self.phases
        ready = self._ready.append if self._unlocks else None
        for index in indices:
            phases[index] = Phase.DONE
            for child in children[index]:
                unmet[child] -= 1
                if not unmet[child] and ready is not None and phases[child] == Phase.WAITING:
                    phases[child] = Phase.READY
                    ready(child)
        self.unfinished -= len(indices)
        return self._unneeded(indices)

    def _unneeded(self, indices: Sequence[int]) -> list[str]:
        inputs, outputs, readers, keep = self._plan.inputs, self._plan.outputs, self._readers, self._keep
        free: list[str] = []
        for index in indices:
            for name in inputs[index]:
                readers[name] -= 1
                if not readers[name] and name not in keep:
                    free.append(name)
            free += [name for name in outputs[index] if name not in readers and name not in keep]
        return free

    def failed(self, index: int) -> list[int]:
        """Note that a node failed for good; return the nodes that are skipped for it (policy `continue` only)."""
        self.phases[index] = Phase.FAILED
        self.unfinished -= 1
        if self._on_failure == "continue":
            return self._skip_descendants(index)
        self._unlocks = False
        if self._on_failure == "stop":
            self.stop()
        return []

    def _skip_descendants(self, index: int) -> list[int]:
        skipped: list[int] = []
        queue = deque(self._plan.children[index])
        while queue:
            child = queue.popleft()
            if self.phases[child] == Phase.WAITING:
                self.phases[child] = Phase.SKIPPED
                skipped.append(child)
                queue.extend(self._plan.children[child])
        return skipped

    def returned(self, indices: Iterable[int]) -> None:
        """Note that turns came back without having started: they are ready again, in their old place at the front."""
        back = sorted(indices)
        self.unfinished -= len(back)
        for index in back:
            self.phases[index] = Phase.READY
        if not self._stopped:
            self._ready.extendleft(reversed(back))

    def stop(self) -> None:
        """Hand out nothing more."""
        self._stopped = True
        self._unlocks = False
        self._ready.clear()

    @property
    def stopped(self) -> bool:
        """Whether nothing more is handed out."""
        return self._stopped

    @property
    def has_ready(self) -> bool:
        """Whether a node could be handed out now."""
        return bool(self._ready)

    @property
    def over(self) -> bool:
        """Whether nothing is under way and nothing more can start."""
        return not self.unfinished and not self._ready

    def in_phase(self, *phases: Phase) -> list[int]:
        """List the nodes that are in one of these phases, in the order of the plan."""
        return [index for index, phase in enumerate(self.phases) if phase in phases]

    def stuck(self) -> list[str]:
        """Say who waits for whom, a line a node; empty unless nodes wait that nothing will ever unlock.

        A valid pipeline never comes to this; it guards against a plan or an executor that breaks its contract.
        """
        if not self._unlocks or not self.over:
            return []
        nodes = self._plan.nodes
        lines: list[str] = []
        for index in self.in_phase(Phase.WAITING):
            missing = [nodes[p].name for p in self._plan.parents[index] if self.phases[p] != Phase.DONE]
            lines.append(f"{nodes[index].name!r} waits for {', '.join(map(repr, missing)) or 'nobody'}")
        return lines
