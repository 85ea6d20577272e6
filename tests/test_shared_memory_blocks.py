"""Blocks of an arena: parts in use never overlap, and what is free grows together again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kernel import serialise
from kernel_shared_memory import layout
from kernel_shared_memory.control import Slot, map_slot, size_of
from kernel_shared_memory.freelist import FreeList, gaps


def slot(number=0, slots=1):
    return map_slot(memoryview(bytearray(size_of(slots))), number)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=60))
def test_parts_that_are_taken_never_overlap_and_all_come_back(steps):
    free, size, used = FreeList(), 64, []
    free.give((0, size))
    for taking, number in steps:
        if taking:
            start = free.take(number)
            if start is not None:
                used.append((start, number))
        elif used:
            free.give(used.pop(number % len(used)))
        cells = [cell for start, count in used for cell in range(start, start + count)]
        assert len(cells) == len(set(cells))
        assert set(gaps(used, size)) == set(free)
    for part in used:
        free.give(part)
    assert list(free) == [(0, size)]


def test_the_smallest_part_that_fits_is_taken():
    free = FreeList()
    for part in ((0, 9), (20, 3), (40, 5)):
        free.give(part)
    assert [free.take(3), free.take(4), free.take(10)] == [20, 40, None]


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=9), st.integers(0, 50))
def test_gaps_are_what_no_part_covers(taken, end):
    covered = {cell for start, count in taken for cell in range(start, start + count)}
    found = [cell for start, count in gaps(taken, end) for cell in range(start, start + count)]
    assert found == [cell for cell in range(end) if cell not in covered]


def test_the_mailbox_hands_over_every_part_once_and_says_when_it_is_full():
    mailbox = slot()
    parts = [(n, n + 1, n % 3 == 0) for n in range(600)]
    taken = [part for part in parts if mailbox.post(part[:2], part[2])]
    assert 0 < len(taken) < 600
    assert sorted(mailbox.take_mail()) == taken
    assert mailbox.take_mail() == []
    assert all(mailbox.post((2**31, 2**20)) for _ in range(len(taken)))
    assert set(mailbox.take_mail()) == {(2**31, 2**20, True)}


def test_slots_do_not_share_words():
    memory = memoryview(bytearray(size_of(2)))
    first, second = map_slot(memory, 0), map_slot(memory, 1)
    first.take_over(7)
    first.table.write(0, 3, (2**33, 5))
    assert first.post((1, 1))
    assert second.pid == 0
    assert second.leases() == []
    assert second.take_mail() == []
    assert isinstance(second, Slot)
    assert first.leases() == [(3, (2**33, 5))]
    first.table.clear(0)
    assert first.leases() == []


@given(st.binary(min_size=1, max_size=300), st.lists(st.binary(max_size=300), max_size=5), st.integers(1, 2**63))
def test_what_is_laid_out_is_read_back_aligned(stream, buffers, serial):
    plan = layout.plan(serialise.Dumped(stream, [memoryview(buffer) for buffer in buffers]))
    block = bytearray(plan.size)
    header = plan.header(serial)
    block[: len(header)] = header
    for offset, part in zip(plan.offsets, plan.parts, strict=True):
        assert offset >= len(header)
        assert offset % 64 == 0
        block[offset : offset + len(part)] = part
    found, rest = layout.read("x", memoryview(block), serial)
    assert bytes(found) == stream
    assert [bytes(buffer) for buffer in rest] == buffers
