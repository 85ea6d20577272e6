"""Amounts of memory as people write them."""

from __future__ import annotations

import re

__all__ = ["bytes_of"]

_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]i?b?|b|)\s*", re.IGNORECASE)
_POWERS = {"": 0, "b": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def bytes_of(given: object) -> int | None:
    """Return bytes: of a whole number not below 0, or of a text such as "64KB" (1000 bytes each) or "64KiB" (1024).

    None for everything else.
    """
    if isinstance(given, int) and not isinstance(given, bool):
        return given if given >= 0 else None
    match = _TEXT.fullmatch(given) if isinstance(given, str) else None
    if match is None:
        return None
    unit = match[2].lower()
    return int(float(match[1]) * (1024 if "i" in unit else 1000) ** _POWERS[unit[:1]])
