"""What the nodes of the benchmarks do; in a module of its own, so that workers of any kind can import it."""

from __future__ import annotations

import numpy as np


def one():
    return 1


def add_one(number):
    return number + 1


def make_array(megabytes):
    return np.arange(megabytes * 2**20 // 8, dtype=np.float64)


def total(array):
    return float(array.sum())


def join(*numbers):
    return sum(numbers)
