"""How many rounds of some work take a given CPU time here: work is set by CPU time, not by the clock on the wall."""

from __future__ import annotations

from statistics import median
from time import process_time

#: CPU seconds of one trial that is long enough to be trusted.
TRIAL_S = 0.1


def rounds_for(cpu_seconds, work, rounds=1_000):
    """Return how many rounds `work(rounds)` has to make to take so much CPU time."""
    while (spent := _cost(work, rounds)) < TRIAL_S:
        rounds *= 2 if spent < TRIAL_S / 8 else 1.5
        rounds = int(rounds)
    spent = median(_cost(work, rounds) for _ in range(3))
    return max(1, round(rounds * cpu_seconds / spent))


def _cost(work, rounds):
    begun = process_time()
    work(rounds)
    return process_time() - begun
