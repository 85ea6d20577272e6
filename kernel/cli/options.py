"""Types of command-line options: lists of names, and settings written name=value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["NAMES", "SETTINGS", "VERSIONS", "joined", "merged_settings", "split_names"]


if TYPE_CHECKING:
    _ParamType = click.ParamType[Any]
else:
    _ParamType = click.ParamType  # older ones are not generic


def split_names(text: str) -> list[str]:
    """Split at commas outside of brackets; blanks around names are dropped, and so are empty names."""
    parts, depth = [""], 0
    for character in text:
        depth += (character == "[") - (character == "]")
        if character == "," and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts if part.strip()]


class _Names(_ParamType):
    """Names separated by commas."""

    name = "names"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Sequence[str]:
        names = split_names(value) if isinstance(value, str) else list(value)
        if not names:
            self.fail("expected at least one name", param, ctx)
        return names


class _Settings(_ParamType):
    """Settings `name=value`, separated by commas; with `typed`, values are read as YAML scalars and lists."""

    name = "name=value"

    def __init__(self, *, typed: bool) -> None:
        self._typed = typed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Mapping[str, Any]:
        if not isinstance(value, str):
            return dict(value)
        settings: dict[str, Any] = {}
        for part in split_names(value):
            name, equals, text = part.partition("=")
            # The text itself stays out of the message: it may hold a secret.
            if not equals or not all(name.strip().split(".")):
                self.fail("expected name=value", param, ctx)
            settings[name.strip()] = self._value(name, text.strip(), param, ctx) if self._typed else text.strip()
        if not settings:
            self.fail("expected name=value", param, ctx)
        return settings

    def _value(self, name: str, text: str, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        import yaml  # noqa: PLC0415 - needed for settings only, and `kernel --help` should be quick

        if not text:
            return ""
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError:
            self.fail(f"the value of {name.strip()!r} is not readable as YAML", param, ctx)


NAMES = _Names()
SETTINGS = _Settings(typed=True)
VERSIONS = _Settings(typed=False)


def joined(groups: Sequence[Sequence[str]]) -> list[str]:
    """Flatten what a repeated option of names collected, each name once."""
    return list(dict.fromkeys(name for group in groups for name in group))


def merged_settings(groups: Sequence[Mapping[str, Any]], *, nested: bool = False) -> dict[str, Any]:
    """Merge what a repeated option of settings collected, the last one wins; `nested` splits at dots."""
    result: dict[str, Any] = {}
    for name, value in _pairs(groups):
        place = result
        *outer, last = name.split(".") if nested else [name]
        for part in outer:
            if not isinstance(place.get(part), dict):
                place[part] = {}
            place = place[part]
        place[last] = value
    return result


def _pairs(groups: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Any]]:
    for group in groups:
        yield from group.items()
