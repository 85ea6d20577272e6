"""Names with placeholders: `{layer}_{name}` declares every dataset whose name has that form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

from attrs import frozen

from kernel.datasets.names import why_unsafe
from kernel.datasets.rebuilt import rebuilt

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Pattern", "filled", "is_pattern", "pattern", "pattern_problems", "sorted_patterns"]

_PLACEHOLDER = re.compile(r"\{(\w+)\}")


@frozen
class Pattern:
    """A name with placeholders, `groups`; `literal` is how many characters stand outside of them."""

    text: str
    form: re.Pattern[str]
    groups: tuple[str, ...]
    literal: int

    @property
    def catches_all(self) -> bool:
        """Whether every name matches."""
        return self.literal == 0

    def match(self, name: str) -> dict[str, str] | None:
        """Return what each placeholder stands for in the name; None when the name has another form."""
        found = self.form.fullmatch(name)
        return dict(zip(self.groups, found.groups(), strict=True)) if found else None


def is_pattern(name: str) -> bool:
    """Say whether the name of an entry has placeholders."""
    return "{" in name or "}" in name


def pattern(text: str) -> Pattern:
    """Read a name with placeholders; one that stands twice stands for the same both times."""
    groups: list[str] = []
    parts: list[str] = []
    for at, part in enumerate(_PLACEHOLDER.split(text)):
        if at % 2 == 0:
            parts.append(re.escape(part))
        elif part in groups:
            parts.append(f"(?:\\{groups.index(part) + 1})")
        else:
            groups.append(part)
            parts.append("(.+?)")
    literal = len(_PLACEHOLDER.sub("", text))
    return Pattern(text, re.compile("".join(parts), re.DOTALL), tuple(groups), literal)


def sorted_patterns(texts: Iterable[str]) -> list[Pattern]:
    """Return the patterns in the order in which they are tried: the most specific first."""
    found = [pattern(text) for text in texts]
    return sorted(found, key=lambda each: (-each.literal, each.text.count("{"), each.text))


def pattern_problems(patterns: Iterable[Pattern]) -> list[str]:
    """Return what is wrong with the patterns as such."""
    patterns = list(patterns)
    problems = [
        f"pattern {each.text!r}: placeholders are written {{name}}, with letters, digits and underscores"
        for each in patterns
        if is_pattern(_PLACEHOLDER.sub("", each.text))
    ]
    if len(every := [each.text for each in patterns if each.catches_all]) > 1:
        problems.append(f"only one pattern may match every name, but these all do: {', '.join(sorted(every))}")
    return problems


def filled(entry: Mapping[str, Any], found: Pattern, values: Mapping[str, str], problems: list[str]) -> dict[str, Any]:
    """Return a copy of the entry with the placeholders in its texts replaced.

    Adds a line to `problems` for a placeholder that the name has not, and for a value that could lead a path
    out of its folder.
    """

    def text_of(placeholder: re.Match[str]) -> str:
        key = placeholder[1]
        if key not in values:
            problems.append(f"placeholder {{{key}}} is not in the name of its pattern {found.text!r}")
            return ""
        if why := why_unsafe(values[key]):
            problems.append(f"{values[key]!r} may not stand for {{{key}}} of pattern {found.text!r}: {why}")
        return values[key]

    def replaced(_key: str, value: Any) -> Any:
        return _PLACEHOLDER.sub(text_of, value) if isinstance(value, str) else value

    return cast("dict[str, Any]", rebuilt(entry, replaced))
