"""Collects what is wrong with a project, so that all of it is reported at once."""

from __future__ import annotations

from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING

from kernel.errors import ConfigError, KernelError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Generator, Sequence

__all__ = ["Problems", "suggestion"]


class Problems:
    """The faults found so far; `raise_any` reports them, a single one as it was raised."""

    def __init__(self) -> None:
        self._found: list[KernelError] = []

    def add(self, text: str) -> None:
        """Note one fault."""
        self._found.append(ConfigError(text))

    @contextmanager
    def collected(self) -> Generator[None]:
        """Note the error that the block raises, and go on after it."""
        try:
            yield
        except KernelError as error:
            self._found.append(error)

    def raise_any(self) -> None:
        """Raise what was found, if anything was; the first error's cause leads the user to a place in the code."""
        if len(self._found) == 1:
            raise self._found[0]
        if self._found:
            raise ValidationError(map(str, self._found)) from self._found[0].__cause__


def suggestion(name: str, known: Sequence[str]) -> str:
    """Say what may have been meant by an unknown name, or what there is; starts with a semicolon."""
    close = get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; known: {', '.join(sorted(known))}" if known else ""
