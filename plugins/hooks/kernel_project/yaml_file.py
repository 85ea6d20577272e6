"""Reads a YAML file of a project: plain data only, no key twice, every fault with its file and line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import yaml

from kernel.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

__all__ = ["read_yaml"]

_MERGE_TAG = "tag:yaml.org,2002:merge"


class _StrictLoader(yaml.SafeLoader):
    """The safe loader, which makes plain data only; it also refuses a key that stands twice in a mapping."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: dict[tuple[str, str], int] = {}
        for key, _ in cast("list[tuple[yaml.Node, yaml.Node]]", node.value):
            if not isinstance(key, yaml.ScalarNode) or key.tag == _MERGE_TAG:
                continue
            name, line = (key.tag, str(key.value)), key.start_mark.line + 1
            if name in seen:
                problem = f"the key {key.value!r} stands here and in line {seen[name]}"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key.start_mark)
            seen[name] = line
        return super().construct_mapping(node, deep=deep)


def read_yaml(file: Path) -> dict[str, Any]:
    """Read a mapping whose keys are strings; an empty file is an empty mapping.

    Raises ConfigError that names file and line; it never quotes the text of the file, which may hold secrets.
    """
    try:
        content: Any = yaml.load(file.read_text(encoding="utf-8"), _StrictLoader)  # noqa: S506 - a safe loader
        _refuse_loops(content, [], set())
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
        raise ConfigError(f"{file}{line}: {_problem(error)}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f"{file}: not readable as YAML ({type(error).__name__})") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError(f"{file}: {error}") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{file}: expected a mapping of names, got {type(content).__name__}")
    for key in cast("dict[object, object]", content):
        if not isinstance(key, str):
            raise ConfigError(f"{file}: the name {key!r} is read as {type(key).__name__}; put it in quotes")
    return cast("dict[str, Any]", content)


def _problem(error: yaml.MarkedYAMLError) -> str:
    problem = error.problem or "not readable as YAML"
    if "could not determine a constructor" in problem:
        return f"{problem}; only plain YAML is read here, tags that make objects are refused"
    return problem


def _refuse_loops(value: Any, above: list[int], done: set[int]) -> None:
    """Refuse an alias that contains itself: no parameter can be named and nothing can be merged in it."""
    if not isinstance(value, (dict, list)) or id(cast("object", value)) in done:
        return
    inner = cast("dict[object, object] | list[object]", value)
    if id(inner) in above:
        raise ValueError("an alias stands inside of what it stands for")
    above.append(id(inner))
    for each in inner.values() if isinstance(inner, dict) else inner:
        _refuse_loops(each, above, done)
    above.pop()
    done.add(id(inner))
