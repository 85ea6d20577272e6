"""Names of datasets and versions as data: how they are shown, and which may become part of a path."""

from __future__ import annotations

import unicodedata

__all__ = ["is_parameter", "shown", "why_unsafe"]

#: Control characters, surrogates, line and paragraph separators.
_REFUSED_CATEGORIES = frozenset({"Cc", "Cs", "Zl", "Zp"})


def is_parameter(name: str) -> bool:
    """Say whether a name is that of parameters, which no pattern stands for."""
    return name == "parameters" or name.startswith("params:")


def shown(name: str) -> str:
    """Return the name as it may stand in a message: on one line, with unprintable characters escaped."""
    return name if name.isprintable() else repr(name)[1:-1]


def why_unsafe(text: str) -> str | None:
    """Say why a text may not become a part of a path; None when it may."""
    if not text:
        return "it is empty"
    if "/" in text or "\\" in text:
        return "it has a path separator"
    if ".." in text or not text.strip("."):
        return "it could climb out of its folder"
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in text):
        return "it has a control character"
    return None
