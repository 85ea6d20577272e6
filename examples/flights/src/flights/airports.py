"""The three airports of New York, in the order in which everything lists them."""

from __future__ import annotations

AIRPORTS: tuple[str, ...] = ("EWR", "JFK", "LGA")
