"""What the small nodes of the benchmarks do; in a module of its own, so that workers of any kind can import it."""

from __future__ import annotations


def one():
    return 1


def add_one(number):
    return number + 1


def left_of(left, right):
    return left


def join(*numbers):
    return sum(numbers)


def spin(rounds):
    """Compute for as long as `rounds` take; see `benchmarks.calibration`."""
    value = 1
    for _ in range(rounds):
        value = (value * 1103515245 + 12345) & 0x7FFFFFFF
    return value
