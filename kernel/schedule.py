"""Who is ready, who is done, what may be released: counters and transitions, no input or output.

A node is WAITING until its last parent is done, READY until it is handed out, then SENT, and in the end DONE, FAILED
or SKIPPED. Every transition of a run is a method here; all together cost O(nodes + edges).

A chain is handed out with its head, its nodes SENT before their parents are done. One whose value stays inside the
chain is LOCAL when it has run: it is done once a node after it in the chain is, and runs again if the value is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
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
    LOCAL = 3
    DONE = 4
    FAILED = 5
    SKIPPED = 6


#: Plain numbers: looking a member up costs more than the rest of a transition.
_WAITING, _READY, _SENT, _LOCAL, _DONE, _FAILED, _SKIPPED = map(int, Phase)


class Schedule:
    """The state of one run over a plan."""

    def __init__(self, plan: Plan, on_failure: OnFailure = "stop", *, retains: bool = False) -> None:
        self._plan = plan
        self._on_failure = on_failure
        self._retains = retains  # what failed or skipped nodes would have read is for another run to read
        self._unmet = list(plan.unmet)
        self._readers = dict(plan.load_counts)
        #: Datasets that stay when nobody will read them any more, and those that nobody will when they are made.
        self._keep = plan.kept
        self._unread = set(plan.unread)
        self._ready: deque[int] = deque(plan.roots)
        self.phases = bytearray(len(plan.nodes))  # all WAITING
        for index in plan.roots:
            self.phases[index] = _READY
        #: Turns handed out whose outcome is not in yet.
        self.unfinished = 0
        #: Which worker has the value of each node that is LOCAL.
        self._locals: dict[int, int] = {}
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
            phases[index] = _SENT
        self.unfinished += len(taken)
        return taken

    def take_chain(self, head: int, fits: Callable[[int], bool]) -> list[int]:
        """Hand out the nodes that can run straight on after `head`, one after the other, as far as `fits` says so.

        Each has all its parents done or before it in the chain. Of several, the one goes first that has most to follow.
        """
        children, parents, unmet, phases = self._plan.children, self._plan.parents, self._unmet, self.phases
        rank = self._plan.rank
        chain: list[int] = []
        if not self._unlocks:
            return chain
        members = {head}
        at = head
        while True:
            best = -1
            for child in children[at]:
                if phases[child] != _WAITING or unmet[child] > len(members) or not fits(child):
                    continue
                if unmet[child] > 1 and not all(p in members or phases[p] == _DONE for p in parents[child]):
                    continue
                if best < 0 or rank[child] < rank[best]:
                    best = child
            if best < 0:
                break
            phases[best] = _SENT
            chain.append(best)
            members.add(best)
            at = best
        self.unfinished += len(chain)
        return chain

    def last_reader(self, names: Sequence[str]) -> int:
        """Say, as bits, which of these inputs nobody will read after the node that is about to be handed out."""
        readers = self._readers
        bits = 0
        for at, name in enumerate(names):
            if readers[name] == 1:
                bits |= 1 << at
        return bits

    def are_sent(self, indices: Sequence[int]) -> bool:
        """Say whether the outcomes of all these nodes are waited for."""
        return bytes(map(self.phases.__getitem__, indices)).count(_SENT) == len(indices)

    def done(self, indices: Sequence[int]) -> list[str]:
        """Note that these nodes are done; return the names of the datasets that nobody needs any more."""
        self.unfinished -= len(indices)
        return self._settle_chain(indices) if self._locals else self._settle(indices)

    def local(self, index: int, worker: int) -> None:
        """Note that a node has run whose value is nowhere but with its worker, for the next node of its chain."""
        self.phases[index] = _LOCAL
        self.unfinished -= 1
        self._locals[index] = worker

    def published(self, index: int) -> list[str]:
        """Note that the value of a LOCAL node is there for everybody; return as `done` does."""
        return self._settle_chain((index,))

    def _local_ancestors(self, indices: Sequence[int]) -> list[int]:
        """List, parents first, the LOCAL nodes whose values went into these."""
        parents, phases = self._plan.parents, self.phases
        found: list[int] = []
        for index in indices:
            queue = [index]
            while queue:
                for parent in parents[queue.pop()]:
                    if phases[parent] == _LOCAL:
                        found.append(parent)
                        queue.append(parent)
        return found[::-1]

    def _settle_chain(self, indices: Sequence[int], *, failed: bool = False) -> list[str]:
        """Settle nodes, unless they failed, and before them the LOCAL ones whose values went into them."""
        before = self._local_ancestors(indices)
        nowhere = {name for index in before for name in self._plan.outputs[index]}
        free = self._settle(before if failed else [*before, *indices])
        return [name for name in free if name not in nowhere]

    def _settle(self, indices: Sequence[int]) -> list[str]:
        plan, unmet, phases, readers, keep = self._plan, self._unmet, self.phases, self._readers, self._keep
        children, inputs, locals_ = plan.children, plan.inputs, self._locals
        ready = self._ready.append if self._unlocks else None
        free: list[str] = []
        for index in indices:
            if locals_:
                locals_.pop(index, None)
            phases[index] = _DONE
            for child in children[index]:
                unmet[child] -= 1
                if not unmet[child] and ready is not None and phases[child] == _WAITING:
                    phases[child] = _READY
                    ready(child)
            for name in inputs[index]:
                readers[name] -= 1
                if not readers[name] and name not in keep:
                    free.append(name)
        if self._unread:
            free += [name for index in indices for name in plan.outputs[index] if name in self._unread]
        return free

    def failed(self, index: int) -> list[str]:
        """Note that a node failed for good; return as `done` does: what came before it in its chain is done."""
        if self._locals.pop(index, None) is None:  # else it was to be published late, and could not be
            self.unfinished -= 1
        free = self._settle_chain((index,), failed=True) if self._locals else []
        self.phases[index] = _FAILED
        if self._on_failure == "continue":
            return free + self._skip_descendants(index)
        self._unlocks = False
        if self._on_failure == "stop":
            self.stop()
        return free

    def _skip_descendants(self, index: int) -> list[str]:
        """Skip what can never run now; return the names of the datasets that nobody will read any more."""
        phases, readers = self.phases, self._readers
        free: list[str] = []
        gone = [index]
        for at in gone:  # it grows
            for name in () if self._retains else self._plan.inputs[at]:
                readers[name] -= 1
                if readers[name] or name in self._keep:
                    continue
                maker = self._plan.made.get(name)
                if maker is None or phases[maker] == _DONE:
                    free.append(name)
                else:
                    self._unread.add(name)
            for child in self._plan.children[at]:
                if phases[child] == _WAITING:
                    phases[child] = _SKIPPED
                    gone.append(child)
        return free

    def returned(self, indices: Iterable[int]) -> list[str]:
        """Note that turns came back without having started, in their old place at the front; return as `done` does.

        One of a chain waits again for its parents, or is skipped where one of them has failed.
        """
        back = sorted(indices)
        self.unfinished -= len(back)
        again = self._wait_again(back)
        if not self._stopped:
            self._ready.extendleft(reversed(again))
        parents, phases = self._plan.parents, self.phases
        free: list[str] = []
        for index in back:
            hopeless = any(phases[parent] in (_FAILED, _SKIPPED) for parent in parents[index])
            if hopeless and phases[index] == _WAITING and self._on_failure == "continue":
                phases[index] = _SKIPPED
                free += self._skip_descendants(index)
        return free

    def lost(self, worker: int, running: int | None) -> list[int]:
        """Note that a worker is gone, and with it the values of its LOCAL nodes; return those, which run again.

        Those that went into the node it was running wait: `undo` or `failed` says what becomes of that.
        """
        spared = set(self._local_ancestors((running,)) if running is not None else ())
        return self._undo([each for each, owner in self._locals.items() if owner == worker and each not in spared])

    def undo(self, index: int) -> list[int]:
        """Have the LOCAL nodes whose values went into this node run again before it can; return them."""
        return self._undo(self._local_ancestors((index,)))

    def _undo(self, indices: Sequence[int]) -> list[int]:
        for index in indices:
            del self._locals[index]
        again = self._wait_again(indices)
        if not self._stopped:
            self._ready.extendleft(reversed(again))
        return list(indices)

    def _wait_again(self, indices: Sequence[int]) -> list[int]:
        """Put nodes back to where they were before they were handed out; list those that are ready."""
        unmet, phases = self._unmet, self.phases
        for index in indices:
            phases[index] = _WAITING if unmet[index] else _READY
        return [index for index in indices if not unmet[index]]

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

    def in_phase(self, phase: Phase) -> list[int]:
        """List the nodes that are in this phase, in the order of the plan."""
        if not self.phases.count(phase):
            return []
        return [index for index, found in enumerate(self.phases) if found == phase]

    def stuck(self) -> list[str]:
        """Say who waits for whom, a line a node; empty unless nodes wait that nothing will ever unlock.

        A valid pipeline never comes to this; it guards against a plan or an executor that breaks its contract.
        """
        if not self._unlocks or not self.over:
            return []
        nodes = self._plan.nodes
        lines: list[str] = []
        for index in self.in_phase(Phase.WAITING):
            missing = [nodes[p].name for p in self._plan.parents[index] if self.phases[p] != _DONE]
            lines.append(f"{nodes[index].name!r} waits for {', '.join(map(repr, missing)) or 'nobody'}")
        return lines
