"""Finds the user's own lines in a traceback: those of no library, and not the kernel's."""

from __future__ import annotations

import linecache
import os
import re
import sysconfig
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["Frame", "frames_of_error", "frames_of_text", "own_frames"]

_FRAME = re.compile(
    r'^  File "(?P<file>.+)", line (?P<line>\d+), in (?P<function>.+)(?:\n    (?P<source>.+))?', re.MULTILINE
)
_PACKAGE = Path(__file__).resolve().parents[1]
#: Where files are not the user's: the standard library, what is installed, the kernel and its plugins.
_FOREIGN = tuple(
    f"{place}{os.sep}"
    for place in {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        str(_PACKAGE),
        str(_PACKAGE.parent / "plugins"),
    }
)


@frozen
class Frame:
    """One line of a traceback."""

    file: str
    line: int
    function: str
    source: str = ""

    @property
    def place(self) -> str:
        """The file, as seen from the current folder where it lies below that, and the line."""
        here = f"{os.getcwd()}{os.sep}"  # noqa: PTH109 - text in, text out
        return f"{self.file.removeprefix(here)}:{self.line}"

    @property
    def short(self) -> str:
        """The last two parts of the file's path, and the line: enough for a file that is not the user's."""
        return f"{'/'.join(Path(self.file).parts[-2:])}:{self.line}"

    @property
    def is_own(self) -> bool:
        """Whether it is the user's."""
        return not self.file.startswith((*_FOREIGN, "<frozen "))


def frames_of_text(text: str) -> list[Frame]:
    """Read the frames of a traceback that came as text, the outermost first."""
    return [
        Frame(found["file"], int(found["line"]), found["function"], (found["source"] or "").strip())
        for found in _FRAME.finditer(text)
    ]


def frames_of_error(error: BaseException) -> list[Frame]:
    """Read the frames of an error, the outermost first; for a syntax error its place is the last."""
    frames = [
        Frame(each.filename, each.lineno or 0, each.name, each.line or "")
        for each in traceback.extract_tb(error.__traceback__)
    ]
    if isinstance(error, SyntaxError) and error.filename is not None:
        line = error.lineno or 0
        frames.append(Frame(error.filename, line, "<module>", linecache.getline(error.filename, line).strip()))
    return frames


def own_frames(frames: Sequence[Frame]) -> list[Frame]:
    """Choose the user's frames, the innermost first."""
    return [frame for frame in reversed(frames) if frame.is_own]


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what caused it, each once."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def first_own(errors: Iterable[BaseException]) -> Frame | None:
    """Return the user's innermost frame of the deepest cause that has one."""
    found = None
    for error in errors:
        own = own_frames(frames_of_error(error))
        found = own[0] if own else found
    return found
