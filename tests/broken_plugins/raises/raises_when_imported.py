"""Raises when it is imported."""

raise RuntimeError("not on this system")
