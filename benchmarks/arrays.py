"""What the nodes with a large array do."""

from __future__ import annotations

import time

import numpy as np

#: Items that are worked on at a time: 256 KiB, which a core's cache holds.
CHUNK = 32 * 1024


def make_array(megabytes):
    return np.arange(megabytes * 2**20 // 8, dtype=np.float64)


def total(array):
    return float(array.sum())


def churn(items, array):
    """Compute with as many items of the array, from its start again after its end; see `benchmarks.calibration`."""
    found, begin = 0.0, 0
    while items > 0:
        found += float(np.sin(array[begin : begin + CHUNK]).sum())
        begin = (begin + CHUNK) % len(array)
        items -= CHUNK
    return found


def hold(seconds, array):
    """Read all of the array, keep it for a while, and return when it was kept: a span of `time.monotonic`."""
    array.sum()
    begun = time.monotonic()
    time.sleep(seconds)
    return begun, time.monotonic()


def whole_span(*spans):
    """Return the time from the first begin to the last end, as two numbers that can be told apart."""
    return min(begun for begun, _ in spans), max(ended for _, ended in spans)
