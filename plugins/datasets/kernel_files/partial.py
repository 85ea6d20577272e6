"""The names of files that are being written: recognisable, hidden, never taken for data."""

from __future__ import annotations

__all__ = ["is_partial", "partial_name"]

_SUFFIX = ".kernel-partial"
#: Bytes of the file's own name that are kept, so that the whole stays below the usual limit of 255.
_KEPT = 200


def partial_name(name: str, random: str) -> str:
    """Return the name under which a file called `name` is written."""
    kept = name.encode()[:_KEPT].decode(errors="ignore")
    return f".{kept}.{random}{_SUFFIX}"


def is_partial(name: str) -> bool:
    """Say whether a name is that of a file being written."""
    return name.startswith(".") and name.endswith(_SUFFIX)
