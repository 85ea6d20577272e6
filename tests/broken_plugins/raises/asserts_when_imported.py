"""Fails an assertion when it is imported."""

assert 1 + 1 == 3, "sums are off"
