"""Credentials: put into entries by key, and kept out of every message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

from kernel.datasets.rebuilt import rebuilt

__all__ = ["HIDDEN", "hide", "texts_in", "with_credentials"]

#: What stands in a message in place of a secret.
HIDDEN = "***"
#: Characters up to which a secret would be found inside of other words by chance.
_SHORT = 5


def with_credentials(
    entry: Mapping[str, Any], credentials: Mapping[str, Any], problems: list[str], secrets: set[str]
) -> dict[str, Any]:
    """Return a copy of the entry in which each `credentials: key`, at any depth, is the section of that name.

    Adds a line to `problems` for each key without a section, and each text of a section to `secrets`.
    """

    def replaced(key: str, value: Any) -> Any:
        if key != "credentials":
            return value
        if isinstance(value, str) and value not in credentials:
            problems.append(f"there are no credentials under the key {value!r}; add them, or correct the key")
            return None
        value = credentials[value] if isinstance(value, str) else value
        secrets.update(texts_in(value))
        return value

    return cast("dict[str, Any]", rebuilt(entry, replaced))


def hide(text: str, secrets: Sequence[str]) -> str:
    """Return the text with each secret in it replaced; a short one only where it is a word of its own."""
    for secret in sorted(secrets, key=len, reverse=True):
        form = f"{re.escape(secret)}|{re.escape(repr(secret)[1:-1])}"
        text = re.sub(form if len(secret) > _SHORT else rf"(?<!\w)(?:{form})(?!\w)", HIDDEN, text)
    return text


def texts_in(value: Any) -> Iterator[str]:
    """Yield every text in a section of credentials that is worth hiding; flags and empty ones are not."""
    if isinstance(value, Mapping):
        for each in cast("Mapping[str, Any]", value).values():
            yield from texts_in(each)
    elif isinstance(value, list | tuple):
        for each in cast("Sequence[Any]", value):
            yield from texts_in(each)
    elif value is not None and not isinstance(value, bool) and str(value):
        yield str(value)
