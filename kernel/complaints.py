"""Collects what is wrong in several places, so that the user hears of all of it at once."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from kernel.errors import KernelError, ValidationError

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = ["Complaints"]


class Complaints:
    """The errors found so far."""

    def __init__(self) -> None:
        self._errors: list[KernelError] = []

    def __bool__(self) -> bool:
        return bool(self._errors)

    @contextmanager
    def collected(self) -> Generator[None]:
        """Note the error that the block raises, and go on after it."""
        try:
            yield
        except KernelError as error:
            self._errors.append(error)

    @property
    def problems(self) -> list[str]:
        """Each problem once, in the order in which they were found."""
        found = (error.problems if isinstance(error, ValidationError) else (str(error),) for error in self._errors)
        return list(dict.fromkeys(problem for problems in found for problem in problems))

    def raise_any(self) -> None:
        """Raise what was found, if anything was: a single error as it came, several as one ValidationError."""
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise ValidationError(self.problems) from self._errors[0].__cause__
