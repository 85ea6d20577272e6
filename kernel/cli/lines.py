"""Text from elsewhere made fit for one line: control characters escaped, too long text cut."""

from __future__ import annotations

import shutil
import sys
import unicodedata

__all__ = ["cut", "escaped", "one_line", "width"]

#: How wide a line may be where there is no terminal to ask.
_WIDTH = 160
#: Line and paragraph separators end a line as well; bidirectional controls show one in another order.
_HARMFUL = {"Cc", "Zl", "Zp", "Cf", "Cs"}


def escaped(text: str, keep: str = "") -> str:
    """Show control and formatting characters as Python escapes, but for those in `keep`.

    A name or message can then neither forge a line nor steer the terminal.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        each if each in keep or unicodedata.category(each) not in _HARMFUL else ascii(each)[1:-1] for each in text
    )


def width() -> int:
    """Say how many characters a line of output may have."""
    return max(40, shutil.get_terminal_size().columns - 1) if sys.stdout.isatty() else _WIDTH


def cut(text: str, most: int) -> str:
    """Cut text to `most` characters, and show that it was cut."""
    return text if len(text) <= most else f"{text[: max(0, most - 3)]}..."


def one_line(text: str, most: int) -> str:
    """Escape and cut; line breaks, too, are shown as escapes."""
    return cut(escaped(text[: most * 4]), most)
