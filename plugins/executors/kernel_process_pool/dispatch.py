"""Who gets which turn next: the longest way to go first, tiny nodes in batches, all others one at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from kernel.nodes.policy import DEFAULT_POLICY
from kernel_remote.costs import TINY_S, Costs
from kernel_remote.turns import FOLLOWS, packed, plain

if TYPE_CHECKING:
    from kernel.specs.events import Outcomes
    from kernel.specs.tasks import Program, Tasks
    from kernel_process_pool.workers import WorkerLink
    from kernel_remote.turns import Sent

__all__ = ["Dispatch"]

#: How much work of tiny nodes is sent ahead to a worker (seconds, estimated): at least enough to bridge the time until
#: the next message; more where many wait, half of its share of them, since each message costs both sides; and little
#: enough that nothing waits long behind another. And how many nodes at most.
_AHEAD_S = 2e-3
_MOST_AHEAD_S = 8e-3
_MOST_AHEAD = 4096
#: A node of up to this (seconds, recent mean) may be sent to a worker that has another to run: the wake-up between the
#: two is worth saving.
_SHORT_S = 10e-3
#: A turn of which there is nothing to say is by itself.
_ONE = (0,)


class Dispatch:
    """The queue of turns that are with no worker yet, and what is known of how long nodes take."""

    def __init__(self) -> None:
        self._program: Program | None = None
        self._costs = Costs(())
        self._groups: list[int] = []
        #: The ranks of the nodes that wait: a heap, and sorted from end to end as long as `_is_sorted` says so.
        self._queue: list[int] = []
        self._is_sorted = True
        #: Nodes that want a process of their own; they wait apart from the others.
        self._fresh: frozenset[int] = frozenset()
        self._waiting_fresh: deque[int] = deque()
        #: The turns of nodes of which there is more to say than the number, each with those that follow in its chain.
        self._turns: dict[int, Sequence[Sent]] = {}
        self._timeouts: dict[int, float] = {}
        #: Whether a function that was taken for tiny has turned out not to be.
        self._slowed = False

    def begin(self, program: Program) -> None:
        """Make ready for a run; what is known of its functions stays known, and of the same nodes what they ask for."""
        self.clear()
        before, self._program = self._program, program
        self._costs = self._costs.followed_by(program.functions)
        self._groups = list(map(self._costs.groups.__getitem__, program.which))
        if before is None or before.nodes is not program.nodes:
            policies = [node.policy for node in program.nodes or ()]
            usual = policies.count(DEFAULT_POLICY) == len(policies)
            self._fresh = frozenset(() if usual else (at for at, policy in enumerate(policies) if policy.fresh_process))

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def waits(self) -> bool:
        """Whether any turn waits for a worker."""
        return bool(self._queue or self._waiting_fresh)

    @property
    def wants_fresh(self) -> int:
        """How many turns wait for a process that has run nothing."""
        return len(self._waiting_fresh)

    def add(self, tasks: Tasks) -> None:
        """Queue turns."""
        index = tasks.index
        if tasks.handles is not None or tasks.attempts or tasks.chains:
            self._turns.update(packed(tasks))
        self._timeouts.update(tasks.timeouts)
        if self._fresh:
            self._waiting_fresh.extend(each for each in index if each in self._fresh)
            index = [each for each in index if each not in self._fresh]
        self._push(index)

    def put_back(self, turns: Sequence[Sent]) -> None:
        """Queue turns again that a worker was sent and will not run; the first is not one that follows another."""
        heads: list[int] = []
        for turn in turns:
            if turn[4] & FOLLOWS:
                self._turns[heads[-1]] = (*self._turns[heads[-1]], turn)
            else:
                heads.append(turn[0])
                self._turns[turn[0]] = (turn,)
        self._push(heads)

    def _push(self, nodes: Iterable[int]) -> None:
        assert self._program is not None
        ranks = map(self._program.rank.__getitem__, nodes)
        if not self._queue:
            self._queue = sorted(ranks)
            self._is_sorted = True
        else:
            self._is_sorted = False
            for rank in ranks:
                heappush(self._queue, rank)

    def clear(self) -> list[int]:
        """Take everything back; return the nodes, those of chains included."""
        order = self._program.order if self._program is not None else ()
        heads = [*(order[rank] for rank in self._queue), *self._waiting_fresh]
        nodes = [turn[0] for head in heads for turn in self._turns.get(head, ((head,),))]
        self._queue = []
        self._is_sorted = True
        self._slowed = False
        self._waiting_fresh.clear()
        self._turns.clear()
        self._timeouts.clear()
        return nodes

    def learn(self, batch: Outcomes) -> None:
        """Take in how long turns took."""
        if batch.failures:  # how long something takes that goes wrong says little
            return
        groups = list(map(self._groups.__getitem__, batch.index))
        if groups.count(groups[0]) == len(groups):
            self._learn(groups[0], (sum(batch.end) - sum(batch.start)) / len(groups))
        else:
            for group, start, end in zip(groups, batch.start, batch.end, strict=True):
                self._learn(group, end - start)

    def _learn(self, group: int, seconds: float) -> None:
        was_tiny = self._costs.means[group] <= TINY_S
        self._costs.add(group, seconds)
        if was_tiny and self._costs.means[group] > TINY_S:
            self._slowed = True

    def take_back_slowed(self, links: Iterable[WorkerLink]) -> None:
        """Queue again what was sent ahead as tiny, if some of it is not: something else may have to go before it."""
        if self._slowed:
            self._slowed = False
            self.put_back([turn for link in links for turn in link.recall()])

    # -- out ------------------------------------------------------------------------------------------------------

    def hand_out(self, links: Sequence[WorkerLink]) -> None:
        """Send what can be sent now; the idlest worker first."""
        if self._waiting_fresh:
            self._hand_out_fresh(links)
        if not self._queue:
            return
        half = len(self._queue) // (2 * len(links) or 1)
        candidates = sorted(links, key=lambda link: len(link.sent)) if len(links) > 1 else links
        if len(candidates) > 1 and not candidates[1].sent and self._turns:
            candidates = self._nearest_first(candidates)
        for left, link in zip(range(len(candidates), 0, -1), candidates, strict=True):
            if not self._queue:
                return
            if link.takes_more:
                nodes = self._next(link, -(-len(self._queue) // left), half)
                if nodes:
                    self._send(link, nodes)

    def _nearest_first(self, links: Sequence[WorkerLink]) -> Sequence[WorkerLink]:
        """Put first, of the workers that have nothing to do, the one that has read most of what the next node reads.

        What a process has read before it reads again without page faults, which are most of what a large input costs.
        """
        turns = self._turns.get(self._peek())
        if turns is None or self._mean(self._peek()) <= TINY_S:
            return links
        handles = turns[0][1]
        return sorted(links, key=lambda link: (bool(link.sent), -link.has_read(handles)))

    def _hand_out_fresh(self, links: Iterable[WorkerLink]) -> None:
        for link in links:
            if link.fresh and self._waiting_fresh:
                self._send(link, [self._waiting_fresh.popleft()])
                link.room = 0  # nothing may follow

    def _next(self, link: WorkerLink, share: int, half: int) -> list[int]:
        """Take from the queue what a worker can have now: at most `share` tiny nodes, or one other.

        `half` of what a worker has to expect of those that wait is what it is given at once, if they are many.
        """
        first, ahead = self._mean(self._peek()), len(link.sent)
        if first > TINY_S:
            # A short one may wait with a worker, so that the worker needs not wait for us: it can be recalled.
            most = 1 if first > _SHORT_S or len(self._queue) <= share else 2
            return [self._pop()] if ahead < most else []
        least, most = int(_AHEAD_S / (first + 1e-7)), int(_MOST_AHEAD_S / (first + 1e-7))
        wanted = min(_MOST_AHEAD, max(2, least, min(half, most)))
        if 2 * ahead > wanted or (ahead and self._mean(link.sent[0][0]) > TINY_S):
            return []  # it has enough, or is in one that may take long: others will be free sooner
        count = min(share, wanted - ahead, _MOST_AHEAD if link.room is None else link.room)
        if self._is_sorted and not self._turns and not self._timeouts:
            return self._cut(count)
        nodes: list[int] = []
        while self._queue and count > 0 and self._mean(self._peek()) <= TINY_S:
            nodes.append(self._pop())
            count -= len(self._turns.get(nodes[-1], _ONE))
        return nodes

    def _cut(self, count: int) -> list[int]:
        """Take the first tiny ones, at most so many: what is sorted can be cut at once."""
        assert self._program is not None
        nodes = list(map(self._program.order.__getitem__, self._queue[:count]))
        if max(self._costs.means) > TINY_S:  # else all are tiny, and one look is enough
            means = map(self._costs.means.__getitem__, map(self._groups.__getitem__, nodes))
            del nodes[next((at for at, mean in enumerate(means) if mean > TINY_S), count) :]
        del self._queue[: len(nodes)]
        return nodes

    def _peek(self) -> int:
        assert self._program is not None
        return self._program.order[self._queue[0]]

    def _pop(self) -> int:
        assert self._program is not None
        rank = self._queue.pop(0) if self._is_sorted else heappop(self._queue)
        return self._program.order[rank]

    def _mean(self, node: int) -> float:
        """Return the seconds that a node with all its chain is expected to take; infinite where nobody knows."""
        if node in self._timeouts:
            return float("inf")
        means, groups = self._costs.means, self._groups
        turns = self._turns.get(node)
        if turns is None:
            return means[groups[node]]
        return sum(means[groups[turn[0]]] for turn in turns)

    def _send(self, link: WorkerLink, nodes: Sequence[int]) -> None:
        known = self._turns
        turns = [turn for node in nodes for turn in known.pop(node, None) or plain([node])] if known else plain(nodes)
        link.submit(turns, self._timeouts.pop(nodes[0], None) if self._timeouts else None)
        if len(nodes) == 1 and turns[0][1]:
            assert self._program is not None
            link.reads(turns[0][1], self._program.store.size)
