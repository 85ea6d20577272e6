"""The turns that are with no engine yet: which go next, and which of them together."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

from attrs import define, field

from kernel.nodes.policy import DEFAULT_POLICY, Policy
from kernel_remote.costs import TINY_S, Costs
from kernel_remote.engine import Ref
from kernel_remote.turns import INNER, packed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel.specs.events import Outcomes
    from kernel.specs.tasks import Program, Tasks
    from kernel_remote.turns import Sent

__all__ = ["Stretch", "Waiting"]

#: The most tiny nodes that make a job.
_MOST = 512
#: A job goes on along a chain for about this long (seconds): what comes after waits here until that has been reported,
#: so that a lost worker costs no more than that and one node.
_STRETCH_S = 0.5


@define(eq=False)
class Stretch:
    """Turns that follow each other, and what came before them in their chain: its handles by name."""

    turns: list[Sent]
    made: dict[str, Any] = field(factory=dict[str, Any])

    def cut(self, at: int) -> Stretch | None:
        """Keep the first `at` turns; return the others. What the last one makes has to be saved then."""
        rest = self.turns[at:]
        if not rest:
            return None
        del self.turns[at:]
        index, handles, last, attempt, flags = self.turns[-1]
        self.turns[-1] = (index, handles, last, attempt, flags & ~INNER)
        return Stretch(rest, self.made)

    @property
    def is_repeated(self) -> bool:
        """Whether its first turn was started before."""
        return self.turns[0][3] > 1


class Waiting:
    """A queue by the longest way to go. Tiny nodes are given out together, all others one at a time or as a chain."""

    def __init__(self, program: Program, batch_s: float) -> None:
        self._rank, self._order = program.rank, program.order
        self._costs = Costs(program.functions)
        self._groups = list(map(self._costs.groups.__getitem__, program.which))
        self._batch_s = batch_s
        self._queue: list[int] = []
        #: How many of those that wait were started before.
        self._repeated = 0
        self._stretches: dict[int, Stretch] = {}
        self._timeouts: dict[int, float] = {}
        self._policies = {
            at: node.policy for at, node in enumerate(program.nodes or ()) if node.policy is not DEFAULT_POLICY
        }

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, tasks: Tasks) -> None:
        """Queue turns."""
        self._timeouts.update(tasks.timeouts)
        for _, turns in packed(tasks):
            self.put(Stretch([*turns]))

    def put(self, stretch: Stretch) -> None:
        """Queue turns that follow each other."""
        index = stretch.turns[0][0]
        self._stretches[index] = stretch
        self._repeated += stretch.is_repeated
        heappush(self._queue, self._rank[index])

    def clear(self) -> list[int]:
        """Take everything back; return the nodes, those of chains included."""
        nodes = [turn[0] for stretch in self._stretches.values() for turn in stretch.turns]
        self._queue.clear()
        self._stretches.clear()
        self._repeated = 0
        self._timeouts.clear()
        return nodes

    def learn(self, batch: Outcomes) -> None:
        """Take in how long turns took."""
        if not batch.failures:  # how long something takes that goes wrong says little
            for index, start, end in zip(batch.index, batch.start, batch.end, strict=True):
                self._costs.add(self._groups[index], end - start)

    def policy(self, index: int) -> Policy:
        """Return what a node asks for."""
        return self._policies.get(index, DEFAULT_POLICY)

    def timeout(self, index: int) -> float | None:
        """Return the time limit of the turn of a node (seconds), if it has one."""
        return self._timeouts.get(index)

    # -- out ------------------------------------------------------------------------------------------------------

    def take_repeated(self) -> Stretch | None:
        """Take a turn that was started before, if there is one."""
        if not self._repeated:
            return None
        for at, rank in enumerate(self._queue):
            stretch = self._stretches[self._order[rank]]
            if stretch.is_repeated:
                del self._queue[at]
                self._queue.sort()
                self._repeated -= 1
                return self._stretches.pop(stretch.turns[0][0])
        return None

    def take(self, share: int) -> tuple[list[Stretch], Stretch | None]:
        """Take what makes the next job: one turn or chain, or at most `share` tiny ones.

        The second is what is left of a chain. It is to be put back when what came before it has been reported.
        """
        first = self._pop()
        if not self._is_tiny(first):
            return [first], first.cut(self._length(first.turns))
        stretches, count, expected = [first], len(first.turns), self._expected(first.turns)
        while self._queue and count < min(share, _MOST) and expected < self._batch_s:
            following = self._stretches[self._order[self._queue[0]]]
            if not self._is_tiny(following):
                break
            stretches.append(self._pop())
            count += len(following.turns)
            expected += self._expected(following.turns)
        return stretches, None

    def _pop(self) -> Stretch:
        stretch = self._stretches.pop(self._order[heappop(self._queue)])
        self._repeated -= stretch.is_repeated
        return stretch

    def _length(self, turns: Sequence[Sent]) -> int:
        """Say how many turns of a chain make a job: one that was started before is by itself, then it can be blamed."""
        expected = 0.0
        for at, turn in enumerate(turns):
            expected += self._mean(turn[0])
            if at and (expected > _STRETCH_S or turn[3] > 1 or turns[at - 1][3] > 1):
                return at
        return len(turns)

    def _is_tiny(self, stretch: Stretch) -> bool:
        """Say whether these turns may share a job with others."""
        turns = stretch.turns
        if stretch.is_repeated or turns[0][0] in self._timeouts or self.policy(turns[0][0]).resources:
            return False
        if any(type(handle) is Ref for turn in turns for handle in turn[1]):
            return False  # a job goes to where its inputs are
        return self._expected(turns) <= TINY_S * len(turns) and self._expected(turns) <= self._batch_s

    def _expected(self, turns: Sequence[Sent]) -> float:
        return sum(self._mean(turn[0]) for turn in turns)

    def _mean(self, index: int) -> float:
        return self._costs.means[self._groups[index]]
