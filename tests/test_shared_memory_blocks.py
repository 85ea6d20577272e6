"""Blocks of an arena: parts in use never overlap, what is free grows together, and how a value lies in a block."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel import serialise
from kernel_shared_memory import layout, marks
from kernel_shared_memory.account import Account
from kernel_shared_memory.control import Slot, map_slot, size_of
from kernel_shared_memory.freelist import FreeList
from kernel_shared_memory.leasetable import UNKNOWN, leases_in
from kernel_shared_memory.region import Region
from kernel_shared_memory.returns import CELLS, MOST


def slot(number=0, slots=1):
    return map_slot(memoryview(bytearray(size_of(slots))), number)


def joined(grains):
    """Return the grains of a set as parts that do not touch, in order."""
    starts = sorted(grain for grain in grains if grain - 1 not in grains)
    ends = sorted(grain + 1 for grain in grains if grain + 1 not in grains)
    return [(start, end - start) for start, end in zip(starts, ends, strict=True)]


# -- the free list

GIVE, TAKE, TAKE_LARGEST, TAKE_ENDING = range(4)
STEPS = st.lists(st.tuples(st.integers(GIVE, TAKE_ENDING), st.integers(0, 63), st.integers(1, 9)), max_size=80)


@given(STEPS)
def test_a_free_list_is_a_set_of_grains_from_which_the_best_part_is_taken(steps):
    free, model = FreeList(), set()
    for step, start, count in steps:
        parts = joined(model)
        if step == GIVE:
            given_back = set(range(start, start + count))
            if not given_back & model:
                free.give((start, count))
                model |= given_back
        elif step == TAKE:
            found, fitting = free.take(count), [part for part in parts if part[1] >= count]
            assert (found is None) == (not fitting)
            if found is not None:
                assert found in {part[0] for part in fitting if part[1] == min(size for _, size in fitting)}
                model -= set(range(found, found + count))
        elif step == TAKE_LARGEST and parts:
            found = free.take_largest(count if start % 2 else None)
            largest = max(size for _, size in parts)
            assert found[1] == (min(count, largest) if start % 2 else largest)
            assert any(sum(found) == sum(part) for part in parts if part[1] == largest)
            model -= set(range(found[0], sum(found)))
        elif step == TAKE_ENDING:
            found = free.take_ending(start)
            assert [found] == ([part for part in parts if sum(part) == start] or [None])
            model -= set(range(found[0], start)) if found else set()
        assert list(free) == joined(model)
        assert (free.total, bool(free)) == (len(model), bool(model))


def test_the_smallest_part_that_fits_is_taken():
    free = FreeList()
    for part in ((0, 9), (20, 3), (40, 5)):
        free.give(part)
    assert [free.take(3), free.take(4), free.take(10)] == [20, 40, None]


# -- a region


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 9))), st.randoms(use_true_random=False))
def test_a_region_is_a_set_of_grains_whatever_the_order_in_which_parts_change_sides(parts, random):
    region, model, flipped = Region(), set(), []
    for start, count in parts:
        grains = set(range(start, start + count))
        if not grains & model or grains <= model:
            flipped.append((start, count))
            model ^= grains
    random.shuffle(flipped)
    for part in flipped:
        region.flip(part)
    assert region.parts() == joined(model)
    assert bool(region) == bool(model)
    inside = [part for part in joined(set(range(60)) - model) + joined(model) if part[0] in model]
    assert region.cut(joined(set(range(60)) - model) + inside[::2]) == inside[::2]
    assert region.parts() == inside[1::2]


# -- what is given back


def test_parts_are_given_back_in_order_each_once_and_only_as_many_as_there_is_room_for():
    returns = slot().returns
    expected, number = [], 0
    for lap in range(5):
        while returns.has_room:
            part = (number, number % 7 + 1, number % 3 == 0)
            returns.post(part[:2], part[2])
            expected.append(part)
            number += 1
        assert len(expected) == CELLS
        assert returns.take() == expected
        assert returns.take() == expected[:0]
        expected.clear()
        for _ in range(lap * 31):
            returns.post((2**34 - 1, MOST), True)
            assert returns.take() == [(2**34 - 1, MOST, True)]


def test_what_is_taken_back_is_not_given_and_a_successor_goes_on_where_the_one_before_ended():
    memory = memoryview(bytearray(size_of(1)))
    ours = map_slot(memory, 0)
    for number in range(3 * CELLS // 2):
        ours.returns.post((number, 1), False)
        assert map_slot(memory, 0).returns.take() == [(number, 1, False)]
    ours.returns.post((7, 7), True)
    ours.recall()
    theirs = map_slot(memory, 0)
    assert theirs.returns.take() == []
    ours.returns.post((8, 8), True)
    assert theirs.returns.take() == [(8, 8, True)]
    assert theirs.recalls == 1


def test_a_part_that_is_larger_than_a_word_can_say_is_given_back_in_pieces():
    own = slot()
    account = Account(own)
    account.warm.give((5, 2 * MOST + 3))
    account.hand_out()
    taken = own.returns.take()
    assert [count for _, count, _ in taken] == [MOST, MOST, 3]
    free = FreeList()
    for start, count, warm in taken:
        assert warm
        free.give((start, count))
    assert list(free) == [(5, 2 * MOST + 3)]


def test_slots_do_not_share_words():
    memory = memoryview(bytearray(size_of(2)))
    first, second = map_slot(memory, 0), map_slot(memory, 1)
    first.take_over(7)
    first.table.write(0, 3, (2**33, 5))
    while first.returns.has_room:
        first.returns.post((2**34 - 1, MOST), True)
    assert second.pid == 0
    assert leases_in(second.table.words()) == []
    assert second.returns.take() == []
    assert isinstance(second, Slot)
    assert leases_in(first.table.words()) == [(3, (2**33, 5))]
    assert (first.pid, first.used, first.top, first.serial, first.recalls) == (7, 0, 0, 0, 0)
    first.table.clear(0)
    assert leases_in(first.table.words()) == []


# -- how a value lies in a block


@pytest.mark.skipif(not marks.can_count(), reason="this system counts no marks")
def test_a_lease_that_is_left_to_children_counts_as_long_as_any_process_has_one_of_its_marks():
    table = slot().table
    own, first, second = marks.make(), marks.make(), marks.make()
    bits = [table.add_mark(mark.number) for mark in (own, first, second)]
    for index, marked in enumerate((bits[1], bits[1] | bits[2], UNKNOWN, bits[0])):
        table.write(index, 0, (10 * index, 1), marked)
        table.leave(index, marked)
    table.write(4, 0, (40, 1), bits[0])

    def counting():
        return [part[0] for _, part in leases_in(table.words())]

    assert counting() == [0, 10, 20, 30, 40]
    first.drop()
    assert counting() == [10, 20, 30, 40]
    second.drop()
    assert counting() == [20, 30, 40]
    assert list(table.prune(but=bits[0])) == [0, 1, 3]
    assert counting() == [20, 40]
    assert table.free() == [0, 1, 3]
    table.void()  # the process is gone, and so is its mark
    own.drop()
    assert counting() == [20]


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
