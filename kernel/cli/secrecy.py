"""What must not be shown: the texts in a project's credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

__all__ = ["secrets_of"]

#: Shorter texts cannot be told from other text: hiding them would only spoil what is shown.
_SHORTEST = 4


def secrets_of(credentials: Mapping[str, Any]) -> list[str]:
    """List the texts that `kernel.datasets.credentials.hide` should hide."""
    return list(_texts(credentials))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for each in cast("Mapping[str, Any]", value).values():
            yield from _texts(each)
    elif isinstance(value, (list, tuple)):
        for each in cast("Sequence[Any]", value):
            yield from _texts(each)
    elif len(str(value)) >= _SHORTEST and not isinstance(value, bool):
        yield str(value)
