"""The runner's books of shared memory, driven at random: nothing in use is ever overwritten, and all comes back."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import tempfile
from pathlib import Path
from unittest.mock import patch

from attrs import define, field
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kernel import serialise
from kernel_shared_memory import layout
from kernel_shared_memory.arena import GRAIN, Arena, part_of
from kernel_shared_memory.blocks import Blocks
from kernel_shared_memory.control import map_control, map_slot, size_of
from kernel_shared_memory.files import Files
from kernel_shared_memory.place import choose
from kernel_shared_memory.spill import Spill

OWNERS = 2
ARENA = 4096 * GRAIN
LIMIT, TIGHT, IDLE = 40 * GRAIN, 30 * GRAIN, 4 * GRAIN
PICK = st.integers(0, 1 << 16)
WHO = st.integers(0, OWNERS - 1)
#: Few sizes, so that places are used again as they are.
SIZE = st.sampled_from([100, GRAIN, 3 * GRAIN])

#: What the runner's process knows of a block: nothing yet, that it is somebody's, that it is not; or nothing ever.
UNTOLD, ADOPTED, DROPPED, FORGOTTEN = range(4)


@define(eq=False)
class Value:
    """A block that was written, and what is there."""

    block: tuple[int, int, int, int]
    content: bytes
    state: int = UNTOLD
    #: What ends each lease, by the process that has it.
    leases: list = field(factory=list)

    @property
    def part(self):
        return part_of(*self.block[1:3])


class Process:
    """Who owns an arena in memory and one on disk, as the process in its slot sees them."""

    def __init__(self, books, number, pid):
        self.pid = pid
        #: The last block in each arena that was not written by this process.
        self.since = {arena: books.slots[arena].serial for arena in (number, number + OWNERS)}
        slots = [map_slot(books.words, each) for each in range(2 * OWNERS)]
        slots[number].take_over(pid)
        # As `Leases` has it where nobody was forked off; all processes here are one, which would not die.
        self.table, self.entries = slots[number].table, itertools.count()
        self.spilled = os.open(books.spill.file(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        limit = books.is_within_limit
        self.arenas = [
            Arena(number, books.segments[1 + number].fd, ARENA, slots[number], slots[number], limit),
            Arena(
                number + OWNERS, self.spilled, ARENA, slots[number + OWNERS], slots[number], lambda: True, mapped=False
            ),
        ]

    def write(self, number, size, fill):
        content = bytes([fill]) * size
        plan = layout.plan(serialise.Dumped(content, []))
        for at, arena in enumerate(self.arenas):
            try:
                offset, serial = arena.write(plan)
            except OSError:
                assert at == 0  # a limit; there is none on disk
                continue
            return Value((number + at * OWNERS, offset, plan.size, serial), content)
        raise AssertionError

    def lease(self, value):
        index = next(self.entries)
        self.table.write(index, value.block[0], value.part)
        return lambda: self.table.clear(index)


class Books(RuleBasedStateMachine):
    """Owners write, tell, read and die in any order; what a model says is in use has to stay as it was written."""

    def __init__(self):
        super().__init__()
        self.place = choose(None, None)
        self.folder = tempfile.mkdtemp()
        self.spill = Spill(str(Path(self.folder) / "spill"))
        self.spill.join()
        self.segments = [self.place.create("control", size_of(2 * OWNERS))]
        self.segments += [self.place.create(f"arena-{at}", ARENA) for at in range(OWNERS)]
        self.words = map_control(self.segments[0].fd, 2 * OWNERS)
        self.slots = [map_slot(self.words, at) for at in range(2 * OWNERS)]
        self.files = Files(self.segments[0], self.segments[1:], self.spill)
        self.blocks = Blocks(self.slots, OWNERS, self.files, TIGHT)
        self.dead = set()
        self.patch = patch("kernel.processes.is_gone", lambda pid, _started: pid in self.dead)
        self.patch.start()
        self.pids = iter(range(1000, 1_000_000))
        self.values = []
        self.runs = True
        self.blocks.resume()
        self.processes = [Process(self, at, next(self.pids)) for at in range(OWNERS)]

    def is_within_limit(self):
        return sum(slot.used for slot in self.slots[:OWNERS]) <= LIMIT

    def those(self, *states, leased=None):
        wanted = (value for value in self.values if value.state in states)
        return [value for value in wanted if leased is None or bool(value.leases) == leased]

    def some(self, values, pick):
        return values[pick % len(values)] if values else None

    def used(self):
        return sum(self.files.used(arena) for arena in range(OWNERS))

    # -- within a run

    @precondition(lambda self: self.runs)
    @rule(who=WHO, sizes=st.lists(SIZE, min_size=1, max_size=8), adopted=st.booleans())
    def write(self, who, sizes, adopted):
        for size in sizes:
            self.values.append(self.processes[who].write(who, size, len(self.values) % 251 + 1))
            if adopted:
                self.adopt(-1)

    @rule(pick=PICK)
    def adopt(self, pick):
        value = self.some(self.those(UNTOLD), pick)
        if value is not None:
            self.blocks.adopt([value.block, value.block])
            value.state = ADOPTED
            self.blocks.flush()

    @rule(picks=st.lists(PICK, min_size=1, max_size=9))
    def drop(self, picks):
        dropped = {id(value): value for value in (self.some(self.those(ADOPTED), pick) for pick in picks) if value}
        for value in dropped.values():
            value.state = DROPPED
        self.blocks.drop([value.block for value in dropped.values()])
        self.blocks.flush()

    @rule(pick=PICK)
    def discard(self, pick):
        value = self.some(self.those(UNTOLD, DROPPED), pick)
        if value is not None:
            value.state = DROPPED
            self.blocks.discard([value.block, value.block])
            self.blocks.flush()

    @precondition(lambda self: self.runs)
    @rule(pick=PICK)
    def drop_by_its_owner(self, pick):
        value = self.some([value for value in self.those(UNTOLD) if self.is_its_owners(value)], pick)
        if value is not None:
            value.state = FORGOTTEN
            arena = value.block[0]
            self.processes[arena % OWNERS].arenas[arena // OWNERS].drop(value.part)

    def is_its_owners(self, value):
        # What a process wrote before its successor took its slot is not that one's to drop.
        return value.block[3] > self.processes[value.block[0] % OWNERS].since.get(value.block[0], 0)

    @rule(who=WHO, pick=PICK)
    def lease(self, who, pick):
        readable = [value for value in self.those(UNTOLD) if self.is_its_owners(value)]
        value = self.some(readable + self.those(ADOPTED), pick)
        if value is not None:
            # What nobody was told about only its owner can read.
            reader = self.processes[who if value.state == ADOPTED else value.block[0] % OWNERS]
            value.leases.append((reader.pid, reader.lease(value)))

    @rule(pick=PICK)
    def end_lease(self, pick):
        value = self.some([value for value in self.values if value.leases], pick)
        if value is not None:
            value.leases.pop(pick % len(value.leases))[1]()

    @precondition(lambda self: self.runs)
    @rule(who=WHO, swept_first=st.booleans())
    def die(self, who, swept_first):
        process = self.processes[who]
        self.dead.add(process.pid)
        for value in self.values:
            value.leases = [lease for lease in value.leases if lease[0] != process.pid]
        if swept_first:
            for value in self.those(UNTOLD):
                if value.block[0] % OWNERS == who:
                    value.state = DROPPED
            self.blocks.sweep(who)
        os.close(process.spilled)
        self.processes[who] = Process(self, who, next(self.pids))
        self.blocks.sweep(who)
        self.blocks.flush()

    # -- from run to run

    @precondition(lambda self: self.runs)
    @rule(next_begins=st.booleans())
    def settle(self, next_begins=False):
        for value in self.those(UNTOLD):
            value.state = DROPPED
        self.runs = False
        self.blocks.settle(IDLE)
        self.blocks.flush()
        if next_begins:
            self.resume()

    @precondition(lambda self: not self.runs)
    @rule()
    def resume(self):
        self.runs = True
        self.blocks.resume()
        self.blocks.flush()

    @rule()
    def flush(self):
        self.blocks.flush()

    # -- what has to hold

    @invariant()
    def what_is_in_use_is_as_it_was_written(self):
        for value in [*self.those(UNTOLD, ADOPTED), *self.those(DROPPED, FORGOTTEN, leased=True)]:
            arena, offset, size, _ = value.block
            fd = self.segments[1 + arena].fd if arena < OWNERS else self.processes[arena - OWNERS].spilled
            stream, _ = layout.read("x", memoryview(os.pread(fd, size, offset)), value.block[3])
            assert bytes(stream) == value.content

    @invariant()
    def memory_is_counted_as_it_is(self):
        for arena in range(OWNERS):
            assert self.slots[arena].used == self.files.used(arena)

    @invariant()
    def memory_stays_within_the_limit(self):
        assert self.used() <= LIMIT

    @invariant()
    def between_runs_only_so_much_is_idle(self):
        if not self.runs:
            self.blocks.flush()
            kept = {*self.those(ADOPTED), *self.those(DROPPED, FORGOTTEN, leased=True)}
            needed = sum(value.part[1] for value in kept if value.block[0] < OWNERS)
            assert self.used() <= needed * GRAIN + IDLE

    def teardown(self):
        try:
            if self.runs:
                self.settle()
            for value in self.values:
                while value.leases:
                    value.leases.pop()[1]()
            self.blocks.drop([value.block for value in self.those(ADOPTED)])
            self.blocks.settle(0)
            self.blocks.flush()
            assert [self.files.used(arena) for arena in range(2 * OWNERS)] == [0] * (2 * OWNERS)
        finally:
            self.patch.stop()
            for process in self.processes:
                os.close(process.spilled)
            for segment in self.segments:
                os.close(segment.fd)
            self.place.close()
            self.spill.remove()
            shutil.rmtree(self.folder)
            del self.processes, self.slots, self.words, self.blocks
            gc.collect()


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
